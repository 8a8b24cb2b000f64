"""DICOM as a format: the dictionary, transfer syntaxes and encapsulated pixel data. It knows of no CT."""
