"""x"""


def write_folder(path, members):
    path.mkdir()
    for name, raw in members.items():
        (path / name).write_bytes(raw)
    return path
