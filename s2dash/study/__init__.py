"""Several clustering strategies on one scene, side by side: what each costs and how good its map can be."""

from s2dash.study.compare import compare_strategies
from s2dash.study.files import STUDY_FILES, check_study_folder, keep_study, kept_study, write_tables
from s2dash.study.strategies import build_strategies, parse_ks, strategy_title
from s2dash.study.study import StrategyResult, Study

__all__ = [
    "STUDY_FILES",
    "StrategyResult",
    "Study",
    "build_strategies",
    "check_study_folder",
    "compare_strategies",
    "keep_study",
    "kept_study",
    "parse_ks",
    "strategy_title",
    "write_tables",
]
