"""Training of every network other than the agent.

crop_training     RANet and other networks on crops, on the agent's boxes (paper 3.2);
                  crop_batches and crop_validation are its batches and figures
joint_training    agent and RANet together (paper 4.2.3)
rcnn_training     Faster R-CNN and Mask R-CNN
volume_training   VoxResNet on patches; sliding_window puts the patches together
losses            the losses of Table 4
"""
