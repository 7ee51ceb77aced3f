"""Estimators for scikit-learn's pipelines: the search, ensemble and calibration of a run, without its project."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from mlnb.api.estimator_arguments import (
    SearchOptions,
    read_classes,
    read_numbers,
    read_options,
    read_weights,
)
from mlnb.api.estimator_frames import check_training_rows, read_frame, to_columns
from mlnb.api.table_slices import slice_frame
from mlnb.codec import replace
from mlnb.errors import DataError, UsageError
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.contracts.responses import to_wire
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.methods.tasks.training_strategies import learn_decision
from mlnb.methods.training_data.data_splits import choose_kind, make_folds
from mlnb.methods.training_data.training_examples import fold_examples, learn_examples, objective, read_target
from mlnb.methods.tuning.ensembles import order_out_of_fold
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.served_tasks import make_handler
from mlnb.stages.split import plan_table
from mlnb.stages.train import fit_best
from mlnb.stages.validate import type_table

TYPED = {"format": "a data frame"}  # as the provenance of a file of typed columns
NUMBER = ColumnDeclaration(kind="number", role=("feature",))  # numbers are features, also if they look like row numbers


class _TableEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share; they describe the parameters."""

    def __init__(
        self,
        *,
        metric: str = "auto",
        families: tuple[str, ...] = (),
        trials: int | None = None,
        seconds: float = 0.0,
        random_state: int | np.random.RandomState | np.random.Generator | None = 0,
        n_jobs: int | None = 2,
    ) -> None:
        self.metric = metric
        self.families = families
        self.trials = trials
        self.seconds = seconds
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may give: missing values and text, besides numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def __getstate__(self) -> Any:
        """Return what is pickled: what is compiled from the fitted parts is compiled again."""
        return {name: value for name, value in super().__getstate__().items() if name != "_handler"}

    def _search(
        self, X: pd.DataFrame, y: np.ndarray, task: str, weights: np.ndarray | None, options: SearchOptions
    ) -> None:
        """Search and fit; set the fitted attributes.

        Args:
            X: rows (n, d).
            y: names of the classes, or numbers (n,).
            task: binary, multiclass or regression.
            weights: sample weights (n,), or None.
            options: from `read_options`.
        """
        if len(X) < 2:
            raise DataError("Found 1 sample; expected as many rows as folds need, at least 2.")
        target, weight = _free_names(X, ("target", "weight"))
        raw = X.reset_index(drop=True).assign(**{target: y})
        declared = {name: NUMBER for name in X.columns if X[name].dtype.kind in "iuf"}
        if weights is not None:
            raw[weight] = weights
            declared[weight] = ColumnDeclaration(kind="number", role=("weight",))
        problem = state(target=target, task=task, metric=options.metric)
        contract, schema, table, _ = type_table(raw, problem, TYPED, declarations=Declarations(columns=declared))
        if not schema.features:
            raise DataError("Found no column with different values; expected at least one to learn from.")
        check_training_rows(X, schema)
        plan, seed = plan_table(table, schema, contract), options.seed
        kind, _ = choose_kind(contract, schema, "stratified" if traits_of(task).has_classes else "random")
        fold_of_row, _ = make_folds(table, contract, kind, plan.folds, seed, repeats=plan.repeats)
        codes, classes = read_target(contract, table), len(contract.classes or ())
        encoder = Encoder.fit(to_arrays(table, schema), schema, codes, classes=classes)
        tuned = tune(
            fold_examples(contract, schema, encoder, table, fold_of_row),
            task,
            objective(contract),
            classes,
            list(options.families) or None,
            trials=options.trials or plan.trials,
            seconds=options.seconds,
            examples=len(table),
            seed=seed,
            threads=options.jobs,
            workers=options.jobs,
        )
        examples = learn_examples(contract, schema, encoder, table)
        model = fit_best(tuned.best, contract, examples, seed, options.jobs)
        held_out = order_out_of_fold(tuned.predictions, tuned.rows, len(examples.y))
        fitted = learn_decision(contract, held_out, examples.y, seed, weights=examples.weights)
        # scikit-learn's users expect the most probable class, whatever an error costs
        decision = replace(fitted.decision, threshold=None, costs=None)
        self.parts_ = ModelParts(contract, schema, encoder.to_json(), model, decision)
        self.best_ = tuned.best
        self.columns_ = tuple(X.columns)
        self._handler = make_handler(self.parts_)

    def _respond(self, X: Any) -> list[dict[str, Any]]:
        """Return the responses that a service of this model would return, one a row."""
        check_is_fitted(self)
        frame = read_frame(to_columns(self, X, reset=False), self.parts_.schema)
        if not hasattr(self, "_handler"):
            self._handler = make_handler(self.parts_)
        responses: list[dict[str, Any]] = []
        for table in slice_frame(frame, self._handler.request_columns, whole=False):
            responses += to_wire(self._handler.respond_to_table(table))
        return responses


class TableClassifier(ClassifierMixin, _TableEstimator):  # type: ignore[misc]
    """A classifier for tables: searches model families as `mlnb run` does, and calibrates the winner.

    It takes numbers, text, dates and missing values as they are. `mlnb run` adds validation, a test set, a gate, a
    report and a service; this class is for scikit-learn's pipelines and its model selection.

    Args:
        metric: metric to optimize, such as "roc_auc" or "log_loss"; "auto": that of a run.
        families: model families to search; empty: those that suit the task.
        trials: number of trials; None: as many as a run plans for a table of this size.
        seconds: time limit of the search; 0: none, so that the result does not depend on the machine.
        random_state: seed of folds, search and fits; None: 0. A random generator of numpy draws one at each fit.
        n_jobs: number of threads, and of trials at the same time; -1: all processors, None: 1.

    Attributes:
        classes_: the classes (k,), ascending.
        best_: the selected candidate: family, hyperparameters, members of an ensemble, score over the folds.
        columns_: names of the columns, in their order.
        parts_: problem contract, schema, encoder, fitted model and decision.
    """

    classes_: np.ndarray

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "TableClassifier":
        """Search, fit the winner on all rows, and calibrate it on out-of-fold predictions.

        Args:
            X: rows, a frame or an array (n, d).
            y: classes (n,).
            sample_weight: weights (n,), at least 0; None: each row counts once.

        Raises:
            ValueError: X or y cannot be learned from; the message names the reason.
        """
        options, frame = read_options(self), to_columns(self, X, reset=True)
        weights = read_weights(sample_weight, len(frame))
        self.classes_, codes, task = read_classes(y, len(frame), weights)
        self._search(frame, np.array([_class_name(code) for code in codes]), task, weights, options)
        learned = self.parts_.contract.classes or ()
        if rare := [each for code, each in enumerate(self.classes_.tolist()) if _class_name(code) not in learned]:
            shown = ", ".join(map(repr, rare[:5]))
            warnings.warn(f"These classes have too few rows and are never predicted: {shown}", stacklevel=2)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probability of each class (n, k), columns in the order of `classes_`."""
        responses = self._respond(X)
        names = [_class_name(code) for code in range(len(self.classes_))]
        return np.array([[response["probabilities"].get(name, 0.0) for name in names] for response in responses])

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row (n,)."""
        most = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[most])


class TableRegressor(RegressorMixin, _TableEstimator):  # type: ignore[misc]
    """A regressor for tables: searches model families as `mlnb run` does.

    It takes numbers, text, dates and missing values as they are. `mlnb run` adds validation, a test set, a gate, a
    report and a service; this class is for scikit-learn's pipelines and its model selection.

    Args:
        metric: metric to optimize, such as "rmse" or "mae"; "auto": that of a run.
        families: model families to search; empty: those that suit the task.
        trials: number of trials; None: as many as a run plans for a table of this size.
        seconds: time limit of the search; 0: none, so that the result does not depend on the machine.
        random_state: seed of folds, search and fits; None: 0. A random generator of numpy draws one at each fit.
        n_jobs: number of threads, and of trials at the same time; -1: all processors, None: 1.

    Attributes:
        best_: the selected candidate: family, hyperparameters, members of an ensemble, score over the folds.
        columns_: names of the columns, in their order.
        parts_: problem contract, schema, encoder, fitted model and decision.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "TableRegressor":
        """Search, and fit the winner on all rows.

        Args:
            X: rows, a frame or an array (n, d).
            y: values (n,), finite.
            sample_weight: weights (n,), at least 0; None: each row counts once.

        Raises:
            ValueError: X or y cannot be learned from; the message names the reason.
        """
        options, frame = read_options(self), to_columns(self, X, reset=True)
        self._search(frame, read_numbers(y, len(frame)), "regression", read_weights(sample_weight, len(frame)), options)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted value of each row (n,)."""
        return np.array([response["prediction"] for response in self._respond(X)], dtype=np.float64)

    def predict_interval(self, X: Any) -> np.ndarray:
        """Return the ends of the prediction interval of each row (n, 2), of the coverage in `parts_.decision`.

        Raises:
            UsageError: there were too few rows to learn an interval from.
        """
        if self.parts_.decision.interval is None:
            raise UsageError("This model has no interval: there were too few rows to learn one from.")
        return np.array([[response["interval"]["low"], response["interval"]["high"]] for response in self._respond(X)])


def _class_name(code: int) -> str:
    """Return the name of a class in the problem contract: text, whatever type the classes have."""
    return f"class {code}"


def _free_names(X: pd.DataFrame, wanted: tuple[str, ...]) -> list[str]:
    """Return names that no column of X has: the wanted ones, with as many underscores as it takes."""
    free = []
    for name in wanted:
        while name in X:
            name += "_"
        free.append(name)
    return free
