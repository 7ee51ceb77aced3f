"""The page at `/`: names and descriptions are text, whatever they hold."""

import json
import shlex

from chromium import open_browser

from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.serving.runtime.recommendation_schemas import add_recommendations
from mlnb.serving.runtime.response_schemas import describe_model_service
from mlnb.serving.runtime.service_page import make_page

METADATA = RecommenderMetadata(
    user_column="customer", item_column="product", before=9.0, repeated=False, users=1200, items=3, interactions=5000
)


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
    page = make_page(document, ["/predict"])
    assert "<img" not in page and "</textarea><script>" not in page
    assert page.count("<script>") == 1 and page.count("</textarea>") == 1
    assert "<h1>&lt;img" in page


def test_the_target_is_shown_as_code_and_stays_escaped():
    rows = {"items": {"properties": {}}}
    operation = {"requestBody": {"content": {"application/json": {"schema": rows}}}, "responses": {}}
    info = {"title": "churn", "description": "# churn\n\nPredicts `<b>` from the other columns of a row."}
    page = make_page({"info": info, "paths": {"/predict": {"post": operation}}}, ["/predict"])
    assert "<p>Predicts <code>&lt;b&gt;</code> from the other columns of a row.</p>" in page


def test_the_page_of_a_log_recommends_first():
    rows = {"type": "array", "items": {"type": "object", "properties": {"lag": {"type": "number"}}}}
    document = describe_model_service("products", "/predict", rows, rows)
    page = make_page(add_recommendations(document, "/recommend", METADATA), ["/recommend", "/predict"])
    recommend, predict = page.index("<h2>POST /recommend</h2>"), page.index("<h2>POST /predict</h2>")
    assert (
        recommend
        < page.index("&quot;user&quot;: &quot;unknown user&quot;")
        < page.index("Recommend</button>")
        < predict
    )
    assert page.index("explain</label>") > predict and page.count('<pre class="curl">') == 2


def test_the_shown_command_sends_the_rows_of_the_form_to_the_service(tmp_path):
    rows = {"items": {"properties": {}}, "example": [{"who's": "it's"}]}
    operation = {"requestBody": {"content": {"application/json": {"schema": rows}}}, "responses": {}}
    (tmp_path / "page.html").write_text(
        make_page({"info": {"title": "a"}, "paths": {"/p": {"post": operation}}}, ["/p"])
    )
    with open_browser() as browser:
        browser.open(f"file://{tmp_path}/page.html")
        shown = shlex.split(browser.evaluate("document.querySelector('.curl').textContent"))
        assert json.loads(shown[-1]) == rows["example"] and shown[2].endswith("/p") and "explain" not in shown[2]
        assert browser.evaluate("getComputedStyle(document.querySelector('form pre')).display") == "none"
        browser.evaluate(
            "const changed = document.querySelector('form'); changed.explain.checked = true;"
            "changed.key.value = 'secret'; changed.dispatchEvent(new Event('input')); 0"
        )
        command = browser.evaluate("document.querySelector('.curl').textContent")
    assert "/p?explain=true'" in command and '-H "X-API-Key: $MLNB_API_KEY"' in command and "secret" not in command
