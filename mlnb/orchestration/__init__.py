"""Pipelines as the graphs of Airflow, Argo Workflows, Kubeflow Pipelines and GitHub Actions."""
