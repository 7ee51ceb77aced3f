"""What to say of a model that a form is not for: what there is instead."""

INSTEAD = {
    "forecasting": "A forecast is made of a whole history's windows, its calendar and its holidays",
    "anomaly": "Detectors of anomalies are no trees of LightGBM",
}


def refuse_task(task: str, forms: tuple[str, ...]) -> str:
    """Return why a task has not the form that is there for others, and what it can be shipped as."""
    why = INSTEAD.get(task, f"{task} is a task of another kind")
    other = "Export with --to onnx" if task == "anomaly" else "Without a server it runs as mlnb deploy lambda"
    return f"{why}: this form is for {', '.join(forms)}. {other}; with one as mlnb serve or mlnb containerize."
