"""A slice view and a 3D view of the scene, drawn offscreen by Slicer's own displayable managers
(EGL or OSMesa).
"""

import slicer
import vtk

SLICE = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
THREE_D = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


class _View:
    def __init__(self, factory, managers, logic, size):
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        factory.SetMRMLApplicationLogic(logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def save(self, path):
        self.window.Render()
        shot = vtk.vtkWindowToImageFilter()
        shot.SetInput(self.window)
        shot.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetInputConnection(shot.GetOutputPort())
        writer.SetFileName(str(path))
        writer.Write()


class SliceView(_View):
    def __init__(self, logic, size=(480, 480)):
        super().__init__(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE, logic, size
        )
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        logic.GetSliceLogics().AddItem(self.logic)
        self.node = self.logic.AddSliceNode("Red")
        self.node.SetOrientation("Axial")
        self.group.SetMRMLDisplayableNode(self.node)
        self.node.SetDimensions(*size, 1)
        self.logic.ResizeSliceNode(*size)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self.image = vtk.vtkActor2D()
        self.image.SetMapper(mapper)
        self.image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.image)

    def show(self, volume):
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToAll()

    def save(self, path):
        self.logic.GetBlend().Update()
        self.image.GetMapper().SetInputConnection(self.logic.GetImageDataConnection())
        super().save(path)


class ThreeDView(_View):
    def __init__(self, logic, size=(480, 480)):
        super().__init__(
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D, logic, size
        )
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        logic.GetViewLogics().AddItem(self.logic)
        self.node = self.logic.AddViewNode("1")
        self.node.SetAxisLabelsVisible(False)
        self.node.SetBoxVisible(False)
        self.group.SetMRMLDisplayableNode(self.node)

    def save(self, path):
        self.window.Render()
        camera = self.renderer.GetActiveCamera()
        # From the front, a little from the right and above.
        self.renderer.ResetCamera()
        x, y, z = camera.GetFocalPoint()
        distance = camera.GetDistance()
        camera.SetPosition(x + 0.4 * distance, y + distance, z + 0.4 * distance)
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera()
        self.renderer.ResetCameraClippingRange()
        super().save(path)
