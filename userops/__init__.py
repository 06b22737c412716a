"""userops: the library behind the DAGs and the command line. It imports neither dags, models_ml nor expectations."""

__version__ = "0.1.0"
