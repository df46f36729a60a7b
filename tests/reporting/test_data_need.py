"""The rule of ten rows for each parameter (F9)."""

import pytest

from limpid.reporting.data_need import data_need


@pytest.mark.spec("F9")
def test_37_million_weights_ask_for_370_million_images():
    text = data_need(37_000_000, 1_200_000)
    assert "370,000,000 rows" in text
    assert "there are 1,200,000" in text
    assert text.startswith("rule of thumb")
    assert text.endswith("Networks often break it")


def test_a_small_model_of_many_rows_meets_it():
    assert data_need(100, 1000).endswith("It is met")
    assert not data_need(100, 999).endswith("It is met")
