"""`slicer` as a scripted module finds it in the desktop program: the real core, and around it the
scene, the base classes and translation.

`install()` puts all of it in place; `errors` collects what the user was shown.
"""

import sys
import types
import unittest
from pathlib import Path

import slicer
import slicer.util
import vtk

from . import pythonqt

MODULE = Path(__file__).parents[2] / "NasoSeg"
errors = []


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def resourcePath(self, filename):
        return str(MODULE / "Resources" / filename)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        """The scene's one node for the module, made where it is missing."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def runTest(self):
        pass


def _module(name, **members):
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module


def install():
    """The scene with the logics that Slicer always has; the modules that scripts import."""
    # vtk's classes as Slicer's bundle shows them.
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    logic.SetModuleLogic("Colors", logic.GetColorLogic())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    kept = [logic]
    for kind, name in (
        ("vtkSlicerVolumesLogic", "Volumes"),
        ("vtkSlicerSegmentationsModuleLogic", "Segmentations"),
        ("vtkSlicerMarkupsLogic", "Markups"),
        ("vtkSlicerSubjectHierarchyModuleLogic", "SubjectHierarchy"),
    ):
        one = getattr(slicer, kind)()
        one.SetMRMLApplicationLogic(logic)
        one.SetMRMLScene(scene)
        logic.SetModuleLogic(name, one)
        kept.append(one)
    slicer.app = types.SimpleNamespace(
        applicationLogic=lambda: logic,
        applicationName="Slicer",
        testingEnabled=lambda: False,
        kept=kept,
    )
    slicer.util.loadUI = pythonqt.load_ui
    slicer.util.mainWindow = lambda verbose=True: None
    slicer.util.errorDisplay = lambda text, windowTitle=None, **_options: errors.append(text)
    sys.modules["qt"], sys.modules["ctk"] = pythonqt.qt, pythonqt.ctk
    slicer.i18n = _module(
        "slicer.i18n", tr=lambda text: text, translate=lambda _context, text: text
    )
    slicer.ScriptedLoadableModule = _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )
    from . import parameters

    slicer.parameterNodeWrapper = parameters.module
    sys.modules["slicer.parameterNodeWrapper"] = parameters.module
    sys.path.insert(0, str(MODULE))
    return logic
