"""Models that learn from the marts: one package per model, callable without Airflow.

`models_ml` may import `userops`; nothing in `userops` imports `models_ml` (its steps are found by name).
Heavy libraries (LightGBM, scikit-learn, PyArrow) are imported inside functions, so that listing the steps is cheap.
"""
