"""The page at `/`: names and descriptions are text, whatever they hold."""

from mlnb.serving.runtime.service_page import make_page


def test_names_cannot_be_markup():
    hostile = '<img src=x onerror="alert(1)">'
    column = {"type": "number", "description": hostile}
    rows = {"items": {"properties": {hostile: column}}, "example": [{hostile: "</textarea><script>"}]}
    operation = {
        "description": hostile,
        "requestBody": {"content": {"application/json": {"schema": rows}}},
        "responses": {"200": {"description": hostile}},
    }
    document = {"info": {"title": hostile}, "paths": {"/predict": {"post": operation}}}
    page = make_page(document, "/predict")
    assert "<img" not in page and "</textarea><script>" not in page
    assert page.count("<script>") == 1 and page.count("</textarea>") == 1
    assert "<h1>&lt;img" in page


def test_the_target_is_shown_as_code_and_stays_escaped():
    rows = {"items": {"properties": {}}}
    operation = {"requestBody": {"content": {"application/json": {"schema": rows}}}, "responses": {}}
    info = {"title": "churn", "description": "# churn\n\nPredicts `<b>` from the other columns of a row."}
    page = make_page({"info": info, "paths": {"/predict": {"post": operation}}}, "/predict")
    assert "<p>Predicts <code>&lt;b&gt;</code> from the other columns of a row.</p>" in page
