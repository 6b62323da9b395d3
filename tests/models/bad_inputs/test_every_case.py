"""The names of the measured cases, each of which must have a test of its name here."""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = """
nan_in_fit inf_in_fit all_nan_column nan_in_query inf_in_query empty_rows zero_columns one_row
two_rows_2d constant_column constant_column_rescaled all_rows_identical duplicate_column
near_collinear_1e-9 n_less_than_d k_greater_than_n k_greater_than_distinct scale_1e-8 scale_1e-3
scale_1e8 scale_mixed_1e-8_1e8 scale_1e150 scale_1e300 scale_1e-150 scale_1e-300 offset_1e6
offset_1e9 float32 float16 float32_offset_1e4 float128_longdouble big_endian fortran_order
negative_stride column_slice_view readonly memmap list_of_lists object_of_floats numeric_strings
sparse_csr masked_array pandas polars pyarrow_table int_columns bool_columns text_columns complex
datetime64 pandas_categorical pandas_nullable_NA polars_null columns_reordered_at_score
columns_renamed_at_score missing_column_at_score extra_column_at_score duplicate_column_names
wrong_width_query square_query_transposed empty_query batch_vs_single_rows one_dim_input
three_dim_input ragged_lists huge_python_ints far_query_1e6_sigma high_dim_500 one_outlier_1e12
input_not_modified caller_mutates_after_fit w_int_equals_repetition w_int_equals_repetition_auto
w_scale_invariance w_some_zero_equals_drop w_negative w_nan w_inf w_all_zero w_wrong_length w_1e308
w_denormal w_text bad_parameters score_before_fit sample_n_zero sample_n_negative sample_n_float_2.5
sample_n_one_shape sample_same_seed sample_after_nan_seed failed_refit_keeps_old_model
interrupted_refit_keeps_old two_threads_same_answers memory_prediction
""".split()  # noqa: SIM905


def test_there_are_so_many() -> None:
    assert len(CASES) == len(set(CASES)) == 95


@pytest.mark.parametrize("case", CASES)
def test_case_has_a_test(case: str) -> None:
    """A test function of the case's name, or a parameter written like it."""
    source = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py") if p != Path(__file__))
    function = case.replace("-", "_").lower()
    assert f"def test_{function}(" in source or f'"{case}"' in source or f"# {case}\n" in source
