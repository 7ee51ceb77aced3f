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
