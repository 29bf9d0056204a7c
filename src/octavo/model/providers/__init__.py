"""The wires that octavo speaks, one module each. Every one of them is a `model.Model`."""
