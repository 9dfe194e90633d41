"""Pictures of an entry and of several."""

from pinnzoo.plots.figures import check_names as check_names
from pinnzoo.plots.figures import save_comparison as save_comparison
from pinnzoo.plots.figures import save_plots as save_plots
