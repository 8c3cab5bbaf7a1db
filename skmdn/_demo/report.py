# SPDX-License-Identifier: BSD-3-Clause
"""The tables of the demo."""


def search_table(fitted):
    """Cross-validated log-likelihood of every candidate of a search, as text."""
    problem, results = fitted.problem, fitted.search.cv_results_
    best = fitted.search.best_index_
    lines = [
        "",
        f"{problem.name}: {problem.y_label}, from {problem.x_label}",
        f"{len(fitted.train)} training rows, {len(fitted.test)} test rows",
        "",
        "  components  cross-validated log-likelihood (nats per row)",
    ]
    n_splits = fitted.search.n_splits_
    for index, params in enumerate(results["params"]):
        mean = results["mean_test_score"][index]
        error = results["std_test_score"][index] / n_splits**0.5
        mark = "  <- best" if index == best else ""
        lines.append(
            f"  {params['mdn__n_components']:>10}  {mean:8.3f} +- {error:.3f}{mark}"
        )
    return "\n".join(lines)


def summary_table(fitted, solved):
    """Test log-likelihoods of all problems, as text."""
    header = ("problem", "components", "mixture", "baseline", "truth", "baseline is")
    rows = [
        (
            f.problem.name,
            f.search.best_params_["mdn__n_components"],
            f"{f.test_score:.3f}",
            f"{f.baseline_score:.3f}",
            "unknown",
            "linear regression, normal errors",
        )
        for f in fitted
    ]
    rows += [
        (
            s.problem.name,
            s.mdn.n_components,
            f"{s.test_score:.3f}",
            f"{s.baseline_score:.3f}",
            f"{s.true_score:.3f}",
            "squared-error network, normal errors",
        )
        for s in solved
    ]
    lines = ["", "Test log-likelihood, nats per row (greater is better)", ""]
    for problem, components, mixture, baseline, truth, kind in [header, *rows]:
        lines.append(
            f"  {problem:<13} {components:>10} {mixture:>9} {baseline:>9} {truth:>8}"
            f"  {kind}"
        )
    return "\n".join(lines)
