"""`qt` and `ctk` as PythonQt shows them, on PySide6: properties are attributes, signals are
connected by their C++ signature.

What a wrapped object does not have raises AttributeError, on reading and on setting; a signature
that the class does not have raises ValueError.
"""

import contextlib
import types
from typing import ClassVar

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_KEPT = {}


def wrap(value):
    if isinstance(value, (QtCore.QObject, QtWidgets.QTableWidgetItem)):
        # One wrapper per object, so that `is` means what it says.
        key = id(value)
        if key not in _KEPT:
            _KEPT[key] = Wrapped(value)
        return _KEPT[key]
    if isinstance(value, (list, tuple)):
        return type(value)(wrap(one) for one in value)
    return value


def unwrap(value):
    return object.__getattribute__(value, "_q") if isinstance(value, Wrapped) else value


class Signal:
    """A signal as an attribute."""

    def __init__(self, signal):
        self._signal = signal

    def connect(self, slot):
        self._signal.connect(_tolerant(slot))

    def disconnect(self, slot):
        self._signal.disconnect(_tolerant(slot))

    def emit(self, *values):
        self._signal.emit(*map(unwrap, values))


_SLOTS = {}


def _tolerant(slot):
    """PythonQt hands a slot as many of the signal's values as it takes."""
    owner, function = getattr(slot, "__self__", None), getattr(slot, "__func__", slot)
    key = (id(owner), function)
    if key not in _SLOTS:
        code = function.__code__
        takes = code.co_argcount - (owner is not None)
        many = bool(code.co_flags & 0x04)

        def call(*values):
            return slot(*map(wrap, values if many else values[:takes]))

        _SLOTS[key] = call
    return _SLOTS[key]


class Wrapped:
    def __init__(self, q):
        object.__setattr__(self, "_q", q)

    def _property(self, name):
        q = unwrap(self)
        if not isinstance(q, QtCore.QObject):
            return None
        index = q.metaObject().indexOfProperty(name)
        return q.metaObject().property(index) if index >= 0 else None

    def __getattr__(self, name):
        q = unwrap(self)
        if name == "name" and isinstance(q, QtCore.QObject):
            return q.objectName()
        if self._property(name) is not None:
            value = q.property(name)
            return (
                value.value
                if hasattr(value, "value") and not isinstance(value, QtCore.QObject)
                else wrap(value)
            )
        value = getattr(q, name)
        if isinstance(value, QtCore.SignalInstance):
            return Signal(value)
        if callable(value):
            return lambda *a, **k: wrap(
                value(*map(unwrap, a), **{key: unwrap(one) for key, one in k.items()})
            )
        return wrap(value)

    def __setattr__(self, name, value):
        if self._property(name) is None:
            raise AttributeError(f"{type(unwrap(self)).__name__} has no property {name}")
        if not unwrap(self).setProperty(name, unwrap(value)):
            raise ValueError(f"{type(unwrap(self)).__name__}.{name} cannot be {value!r}")

    def className(self):
        return type(unwrap(self)).__name__

    def connect(self, signature, slot):
        q = unwrap(self)
        name = signature.split("(")[0]
        real = getattr(type(q), "SIGNATURES", {}).get(signature)
        if real is None:
            normal = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
            if q.metaObject().indexOfSignal(normal) < 0:
                raise ValueError(f"{type(q).__name__} has no signal {signature}")
        signal = getattr(q, real or name)
        if not real and "(" in signature:
            kinds = signature[signature.index("(") + 1 : -1]
            if "," in kinds:
                types_of = {"int": int, "bool": bool, "QString": str}
                with contextlib.suppress(KeyError, IndexError):
                    signal = signal[tuple(types_of[kind] for kind in kinds.split(","))]
        signal.connect(_tolerant(slot))
        return True


class Class:
    """A class of `qt`: makes wrapped objects; static functions and enumerators are attributes."""

    def __init__(self, made):
        self._class = made

    def __call__(self, *values):
        return wrap(self._class(*map(unwrap, values)))

    def __getattr__(self, name):
        value = getattr(self._class, name)
        return (
            (lambda *a: wrap(value(*map(unwrap, a))))
            if callable(value) and not isinstance(value, type)
            else value
        )


class Module(types.ModuleType):
    def __init__(self, name, places, own):
        super().__init__(name)
        self._places = places
        for key, value in own.items():
            setattr(self, key, value)

    def __getattr__(self, name):
        for place in self._places:
            found = getattr(place, name, None)
            if found is not None:
                return Class(found) if isinstance(found, type) and name != "Qt" else found
        raise AttributeError(f"{self.__name__} has no {name}")


# ctk's and qMRML's widgets: the properties, signals and slots that Slicer's have.


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False

    def getText(self):
        return self.title()

    def setText(self, text):
        self.setTitle(text)

    text = QtCore.Property(str, getText, setText)

    def getCollapsed(self):
        return self._collapsed

    def setCollapsed(self, collapsed):
        self._collapsed = collapsed
        self.contentsCollapsed.emit(collapsed)

    collapsed = QtCore.Property(bool, getCollapsed, setCollapsed)


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QLineEdit()
        layout.addWidget(self._edit)
        layout.addWidget(QtWidgets.QToolButton(text="..."))
        self._edit.textChanged.connect(self.currentPathChanged)

    def getPath(self):
        return self._edit.text()

    def setPath(self, path):
        self._edit.setText(path)

    currentPath = QtCore.Property(str, getPath, setPath)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)
    SIGNATURES: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def setMRMLScene(self, scene):
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    currentNodeChanged = QtCore.Signal(object)
    SIGNATURES: ClassVar = {"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"}
    SLOTS: ClassVar = {"setMRMLScene(vtkMRMLScene*)"}

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._combo = QtWidgets.QComboBox()
        layout.addWidget(self._combo)
        self._scene, self._types, self._flags = None, [], {}
        self._nodes = [None]
        self._combo.currentIndexChanged.connect(
            lambda _index: self.currentNodeChanged.emit(self.currentNode())
        )

    def getTypes(self):
        return self._types

    def setTypes(self, types):
        self._types = list(types)
        self._fill()

    nodeTypes = QtCore.Property("QStringList", getTypes, setTypes)

    def _flag(name):
        return QtCore.Property(
            bool,
            lambda self: self._flags.get(name, True),
            lambda self, value: self._flags.__setitem__(name, value),
        )

    showChildNodeTypes, addEnabled, removeEnabled, noneEnabled = map(
        _flag, ("showChildNodeTypes", "addEnabled", "removeEnabled", "noneEnabled")
    )
    del _flag

    def setMRMLScene(self, scene):
        self._scene = scene
        for event in (
            scene.NodeAddedEvent,
            scene.NodeRemovedEvent,
            scene.EndCloseEvent,
            scene.EndImportEvent,
        ):
            scene.AddObserver(event, lambda *_arguments: self._fill())
        self._fill()

    def _fill(self):
        if self._scene is None:
            return
        before = self.currentNode()
        nodes = [
            self._scene.GetNthNodeByClass(at, kind)
            for kind in self._types
            for at in range(self._scene.GetNumberOfNodesByClass(kind))
        ]
        exact = [
            n
            for n in nodes
            if self._flags.get("showChildNodeTypes", True) or n.GetClassName() in self._types
        ]
        self._combo.blockSignals(True)
        self._nodes = [None, *exact]
        self._combo.clear()
        self._combo.addItems(["Select a volume", *[node.GetName() for node in exact]])
        self._combo.setCurrentIndex(self._nodes.index(before) if before in self._nodes else 0)
        self._combo.blockSignals(False)
        if self.currentNode() is not before:
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self):
        index = self._combo.currentIndex()
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNode(self, node):
        if node is not None and node not in self._nodes:
            self._fill()
        self._combo.setCurrentIndex(self._nodes.index(node) if node in self._nodes else 0)


CUSTOM = {
    one.__name__: one
    for one in (ctkCollapsibleButton, ctkPathLineEdit, qMRMLWidget, qMRMLNodeComboBox)
}


def load_ui(path):
    """slicer.util.loadUI: QUiLoader, with the stand-ins, and the file's own connections made by
    their C++ signatures.
    """
    import xml.etree.ElementTree

    root = xml.etree.ElementTree.parse(path).getroot()
    used = {one.get("class") for one in root.iter("widget")}
    declared = {one.findtext("class") for one in root.iter("customwidget")}
    if not (used & set(CUSTOM)) <= declared or not declared <= set(CUSTOM):
        raise RuntimeError(f"{path}: custom widgets {declared} declared, {used & set(CUSTOM)} used")
    connections = [
        {end: one.findtext(end) for end in ("sender", "signal", "receiver", "slot")}
        for one in root.iter("connection")
    ]
    for one in root.findall("connections"):
        root.remove(one)
    for holder in root.iter("widget"):
        for one in list(holder):
            # ctkPathLineEdit's own enumeration, which PySide6 cannot know.
            if holder.get("class") == "ctkPathLineEdit" and one.get("name") == "filters":
                if one.findtext("set") not in ("ctkPathLineEdit::Dirs", "ctkPathLineEdit::Files"):
                    raise RuntimeError(f"{path}: no such filter: {one.findtext('set')}")
                holder.remove(one)
    loader = QtUiTools.QUiLoader()
    for one in CUSTOM.values():
        loader.registerCustomWidget(one)
    buffer = QtCore.QBuffer()
    buffer.setData(xml.etree.ElementTree.tostring(root))
    buffer.open(QtCore.QIODevice.ReadOnly)
    made = loader.load(buffer)
    if made is None:
        raise RuntimeError(f"{path}: {loader.errorString()}")

    def named(name):
        return made if made.objectName() == name else made.findChild(QtWidgets.QWidget, name)

    for one in connections:
        sender, receiver = named(one["sender"]), named(one["receiver"])
        if one["slot"] not in type(receiver).SLOTS:
            raise RuntimeError(f"{path}: {type(receiver).__name__} has no slot {one['slot']}")
        getattr(sender, type(sender).SIGNATURES[one["signal"]]).connect(
            getattr(receiver, one["slot"].split("(")[0])
        )
    return wrap(made)


def _file_name(*_arguments):
    raise RuntimeError("a test opened a file dialog; give it an answer")


application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["slicer"])
QFileDialog = types.SimpleNamespace(getSaveFileName=_file_name, getOpenFileName=_file_name)
qt = Module("qt", [QtWidgets, QtCore, QtGui], {"QFileDialog": QFileDialog})
ctk = Module(
    "ctk", [], {name: Class(one) for name, one in CUSTOM.items() if name.startswith("ctk")}
)
