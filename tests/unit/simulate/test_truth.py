"""The comparison of a published ranking with the ground truth."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pytest

from userops.simulate.truth import ranking_quality

DAY = date(2026, 1, 31)


def test_auc_is_that_of_the_textbook_with_ties_counting_half(tmp_path):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    dropped = rng.random(400) < 0.3
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * dropped, 0.2), 0, 1), 1)  # one decimal: many ties
    silent = rng.integers(0, 60, 400)
    published, truth = tmp_path / "marts.duckdb", tmp_path / "truth"
    truth.mkdir()
    with duckdb.connect(str(published)) as connection:
        connection.execute("create table rows (user_id varchar, score double, silent integer, dropped boolean)")
        connection.executemany(
            "insert into rows values (?, ?, ?, ?)",
            [[f"u{i}", float(score[i]), int(silent[i]), bool(dropped[i])] for i in range(400)],
        )
        connection.execute(
            f"""
            create table fct_churn_scores as
            select user_id, date '{DAY}' as as_of_date, score as churn_probability from rows;
            create table dim_users as select user_id, date '{DAY}' - silent as last_active_date from rows;
            create table churn_warning_list as
            select user_id, date '{DAY}' as as_of_date from rows where score >= 0.7;
            copy (
                select user_id, case when dropped then date '2026-01-10' end as drop_out_date from rows
                union all
                select 'leaves later', date '2026-03-01'
            ) to '{truth / "users.parquet"}';
            drop table rows
            """
        )
    quality = ranking_quality(published, truth, DAY)
    assert (quality.users, quality.dropped) == (400, int(dropped.sum()))
    assert quality.model_auc == pytest.approx(roc_auc_score(dropped, score))
    assert quality.recency_auc == pytest.approx(roc_auc_score(dropped, silent))
    assert quality.listed == int((score >= 0.7).sum())
    assert quality.listed_dropped == int((dropped & (score >= 0.7)).sum())
