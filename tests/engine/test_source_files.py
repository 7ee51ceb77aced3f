"""Sources that name files other than by their path: a change of such a file reruns the stage that reads it."""

from mlnb.engine.source_files import source_files


def names(root, source):
    return [path.relative_to(root).as_posix() for path in source_files(root, source)]


def test_files_of_globs_pointers_and_queries(tmp_path):
    for name in ("in/a.csv", "in/b.csv", "in/c.txt", "x.csv.dvc", "y.csv", "y.csv.dvc", "shop.duckdb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert names(tmp_path, "in/*.csv") == ["in/a.csv", "in/b.csv"] == names(tmp_path, f"{tmp_path}/in/*.csv")
    assert names(tmp_path, "x.csv") == ["x.csv.dvc"] == names(tmp_path, "x.csv.dvc")
    assert names(tmp_path, "y.csv.dvc") == ["y.csv", "y.csv.dvc"]
    assert names(tmp_path, "duckdb://::select * from 'in/*.csv' join 'in/c.txt'") == [
        "in/a.csv",
        "in/b.csv",
        "in/c.txt",
    ]
    assert names(tmp_path, "duckdb:///shop.duckdb::orders") == ["shop.duckdb"]
    assert names(tmp_path, "duckdb://::select * from 's3://bucket/a.csv'") == []


def test_plain_files_folders_and_urls_name_no_others(tmp_path):
    (tmp_path / "y.csv").write_text("x")
    for source in ("y.csv", "in", "none.csv", "s3://bucket/*.csv", "sklearn:iris"):
        assert source_files(tmp_path, source) == []
