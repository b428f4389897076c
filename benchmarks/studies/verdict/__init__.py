"""The verdict's study: which law of codes, for which model, at how many images.

``grid`` says what is run, ``models`` and ``laws`` are tables of names, ``spaces`` trains and scores,
``engine`` runs cells here or on a cluster, ``store`` keeps them. ``python -m verdict``, with this folder's
parent on the path (``make study``).
"""
