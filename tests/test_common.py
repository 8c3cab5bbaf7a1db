# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own checks; none is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn.calibration import ConformalMDNRegressor

SHORT = {"max_iter": 5, "random_state": 0}


@parametrize_with_checks(
    [
        MDNRegressor(),
        MDNRegressor(n_components=3, **SHORT),
        MDNRegressor(n_estimators=4, **SHORT),
        MDNRegressor(hidden_layer_sizes=(), n_bins=0, **SHORT),
        MDNRegressor(covariance_type="spherical", early_stopping=True, **SHORT),
        MDNRegressor(covariance_type="full", n_estimators=2, **SHORT),
        MDNRegressor(covariance_type="tied", **SHORT),
        MDNRegressor(activation="relu", **SHORT),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_the_html_repr_links_to_no_page_that_does_not_exist():
    for estimator in (
        MDNRegressor(),
        MDNRegressorCV(),
        ConformalMDNRegressor(MDNRegressor()),
    ):
        assert estimator._get_doc_link() == ""  # until the documentation has a site
        assert "href=" not in estimator._repr_html_()
