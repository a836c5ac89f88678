"""parameterNodeWrapper for the types and widgets that the module uses: kept in the node under the
same names and in the same form as Slicer's.
"""

import types
import typing

import slicer

from . import pythonqt


class Choice:
    def __init__(self, choices):
        self.choices = list(choices)

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class WithinRange:
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value!r} is not within {self.minimum} to {self.maximum}")


class _Parameter:
    def __init__(self, name, hint, default):
        self.name = name
        self.type, self.validators = (
            (typing.get_args(hint)[0], typing.get_args(hint)[1:])
            if typing.get_origin(hint) is typing.Annotated
            else (hint, ())
        )
        self.is_node = isinstance(self.type, type) and issubclass(self.type, slicer.vtkMRMLNode)
        if not self.is_node and self.type not in (int, str, bool):
            raise Exception(f"Unable to create serializer for type: {self.type}")
        self.default = default if default is not None or self.is_node else self.type()

    def write(self, node, value):
        if not (value is None and self.is_node) and not (
            isinstance(value, self.type) and (self.type is not int or not isinstance(value, bool))
        ):
            raise TypeError(f"{self.name}: {value!r} is no {self.type.__name__}")
        for validator in self.validators:
            validator.validate(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.type is bool else self.type(text)


class _Connector:
    """A widget and a parameter; the pairs that Slicer's connectors know, and no others."""

    def __init__(self, widget, parameter):
        kind = widget.className()
        self.widget, self.parameter = widget, parameter
        if kind == "qMRMLNodeComboBox" and parameter.is_node:
            self.signal, self.read, self.write = (
                widget.currentNodeChanged,
                widget.currentNode,
                widget.setCurrentNode,
            )
            widget.nodeTypes = [parameter.type.__name__]
        elif kind == "QSpinBox" and parameter.type is int:
            self.signal, self.read, self.write = (
                widget.valueChanged,
                lambda: widget.value,
                lambda value: setattr(widget, "value", value),
            )
            for one in parameter.validators:
                widget.setRange(one.minimum, one.maximum)
        elif kind == "QCheckBox" and parameter.type is bool:
            self.signal, self.read, self.write = (
                widget.stateChanged,
                lambda: widget.checked,
                lambda value: setattr(widget, "checked", value),
            )
        elif kind == "QComboBox" and parameter.type is str:
            (choice,) = [one for one in parameter.validators if isinstance(one, Choice)]
            widget.clear()
            for one in choice.choices:
                widget.addItem(str(one))
            self.signal, self.read = (
                widget.currentIndexChanged,
                lambda: choice.choices[widget.currentIndex],
            )
            self.write = lambda value: setattr(widget, "currentIndex", choice.choices.index(value))
        else:
            raise RuntimeError(
                f"Unable to create GUI connector from datatype '{parameter.type}' to widget type "
                f"'{kind}'"
            )
        self.slot = None

    def connect(self, slot):
        self.slot = slot
        self.signal.connect(slot)

    def disconnect(self):
        self.signal.disconnect(self.slot)


class _Wrapper:
    def __init__(self, parameterNode, prefix=None):
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_guis", {})
        object.__setattr__(self, "_updating", False)
        for parameter in self.allParameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)

    def connectGui(self, gui):
        connectors = []
        for widget in gui.__dict__.values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in self.allParameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
            connector = _Connector(widget, self.allParameters[name])
            connector.write(connector.parameter.read(self.parameterNode))
            connectors.append(connector)
        for connector in connectors:
            connector.connect(self._slot(connector))
        tag = len(self._guis)
        observer = self.parameterNode.AddObserver(
            "ModifiedEvent", lambda *_arguments: self._show(connectors)
        )
        self._guis[tag] = (connectors, observer)
        return tag

    def _slot(self, connector):
        def changed():
            if not self._updating:
                connector.parameter.write(self.parameterNode, connector.read())

        return changed

    def _show(self, connectors):
        if self._updating:
            return
        object.__setattr__(self, "_updating", True)
        try:
            for connector in connectors:
                connector.write(connector.parameter.read(self.parameterNode))
        finally:
            object.__setattr__(self, "_updating", False)

    def disconnectGui(self, tag):
        connectors, observer = self._guis.pop(tag)
        self.parameterNode.RemoveObserver(observer)
        for connector in connectors:
            connector.disconnect()


def parameterNodeWrapper(described):
    hints = typing.get_type_hints(described, include_extras=True)
    parameters = {
        name: _Parameter(name, hint, getattr(described, name, None)) for name, hint in hints.items()
    }
    body = {"allParameters": parameters, "__doc__": described.__doc__}
    for name, parameter in parameters.items():
        if hasattr(_Wrapper, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        body[name] = property(
            lambda self, p=parameter: p.read(self.parameterNode),
            lambda self, value, p=parameter: p.write(self.parameterNode, value),
        )
    return type(described.__name__, (_Wrapper,), body)


module = types.ModuleType("slicer.parameterNodeWrapper")
module.Choice, module.WithinRange, module.parameterNodeWrapper = (
    Choice,
    WithinRange,
    parameterNodeWrapper,
)
del pythonqt
