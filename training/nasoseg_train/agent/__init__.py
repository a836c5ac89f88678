"""The agent that finds the tumour, trained by deep Q-learning (paper 3.1).

environment, reward   episodes, their views of the slices, Algorithm 1
exploration           Algorithms 2 and 3
observation           the crops that the agent sees
replay                the experience pool
deep_q_learning       the update of eq. (1), the training loop
trajectories          the greedy agent and its validation figures
gym                   the same environment for Gymnasium
"""
