"""Small stand-ins for the parts of 3D Slicer that its core package lacks: PythonQt's way with
widgets (on PySide6, offscreen), ctk's and qMRML's widgets, the scripted module's base classes,
parameterNodeWrapper, translation. Names, signatures, node types and errors are Slicer's own: a
wrong property, signal or type fails here as it does there.
"""
