"""Pictures of the demo model's result on a synthetic study: written to Screenshots, looked at by
people, checked here for what they must show.
"""

import numpy as np
import slicer
import vtk
from conftest import LOGIC, SCREENSHOTS
from test_run import choose
from vtk.util import numpy_support


def pixels(file):
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(file))
    reader.Update()
    image = reader.GetOutput()
    width, height, _depth = image.GetDimensions()
    return (
        numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        .reshape(height, width, -1)[::-1, :, :3]
        .astype(int)
    )


def share(image, wanted, tolerance=70):
    """Pixels of about a colour."""
    return int((abs(image - np.array(wanted)).max(-1) < tolerance).sum())


def test_pictures(phantom, red):
    from views import ThreeDView

    panel, ui, node = phantom.panel, phantom.ui, phantom.panel.node
    ui.bundlePath.currentPath = ""  # The demo model that comes with the package.
    ui.deviceComboBox.currentIndex = 1
    choose(phantom, 17, 27)
    panel.run()
    boxes = phantom.logic.boxes
    assert boxes.document["model"].startswith("seqseg-demo")
    index = max(range(len(boxes)), key=lambda at: boxes.segmented(at)["pixels"])
    assert boxes.segmented(index)["pixels"] > 50
    display = phantom.t1c.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    low, high = np.percentile(slicer.util.arrayFromVolume(phantom.t1c), [1, 99.7])
    display.SetWindowLevelMinMax(float(low), float(high))
    red.show(phantom.t1c)
    ui.sliceSlider.setValue(index)
    ui.sliceSlider.setValue(max(index - 1, 0))
    ui.sliceSlider.setValue(index)

    SCREENSHOTS.mkdir(exist_ok=True)
    file = SCREENSHOTS / "slice.png"
    red.save(file)
    image = pixels(file)
    assert share(image, (255, 230, 25)) > 100, "the box is not seen"
    assert share(image, (230, 50, 40)) > 50, "the segmentation is not seen"
    assert image.std() > 20, "the volume is not seen"

    ui.trajectoryCheckBox.click()
    file = SCREENSHOTS / "trajectory.png"
    red.save(file)
    assert share(pixels(file), (50, 120, 215), 40) > share(image, (50, 120, 215), 40) + 300, (
        "the agent's boxes are not seen"
    )

    # The panel, as it is now.
    panel.window.resize(440, 1060)
    panel.pump(0.2)
    file = SCREENSHOTS / "panel.png"
    assert panel.window.grab().save(str(file))
    shown = pixels(file)
    assert share(shown, (176, 0, 32), 20) > 1000, "the demo's warning is not seen"
    ui.trajectoryCheckBox.click()

    view = ThreeDView(LOGIC)
    node.box.SetDisplayVisibility(False)
    file = SCREENSHOTS / "surface.png"
    view.save(file)
    view.window.Finalize()
    reds = pixels(file)
    assert (
        (reds[..., 0] > 90)
        & (reds[..., 0] > reds[..., 1] * 1.8)
        & (reds[..., 0] > reds[..., 2] * 1.8)
    ).sum() > 2000, "the surface is not seen"
    for one in SCREENSHOTS.glob("*.png"):
        assert one.stat().st_size < 300_000, one
