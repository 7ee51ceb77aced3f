"""The OpenAPI document of a service that recommends."""

from openapi_spec_validator import validate

from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.serving.runtime.recommendation_schemas import add_recommendations, describe_requests
from mlnb.serving.runtime.response_schemas import describe_model_service

METADATA = RecommenderMetadata(
    user_column="customer", item_column="product", before=9.0, repeated=False, users=1200, items=3, interactions=5000
)


def test_the_document_has_both_paths():
    rows = {"type": "array", "items": {"type": "object"}}
    document = describe_model_service("products", "/predict", rows, rows)
    both = add_recommendations(document, "/recommend", METADATA)
    assert set(both["paths"]) == {"/predict", "/recommend"} and set(document["paths"]) == {"/predict"}
    validate(both)
    operation = both["paths"]["/recommend"]["post"]
    assert "1,200 users" in operation["description"]
    assert set(operation["responses"]) >= {"200", "401", "422", "503"}
    item = operation["responses"]["200"]["content"]["application/json"]["schema"]["items"]
    assert item["required"] == ["fallback", "items"]


def test_a_request_names_the_columns_of_the_log():
    user = describe_requests(METADATA)["items"]
    assert user["required"] == ["user"] and set(user["properties"]) == {"user", "k", "exclude"}
    assert "'customer'" in user["properties"]["user"]["description"]
    assert "'product'" in user["properties"]["exclude"]["description"]
