"""Where problems are posed and points are drawn: boxes, shapes, boundaries, and their products."""

from pinnzoo.domains.box import SIDES as SIDES
from pinnzoo.domains.box import Box as Box
from pinnzoo.domains.box import Surface as Surface
from pinnzoo.domains.primitives import Ball as Ball
from pinnzoo.domains.primitives import Interval as Interval
from pinnzoo.domains.primitives import Polygon as Polygon
from pinnzoo.domains.regions import Combination as Combination
from pinnzoo.domains.regions import Domain as Domain
from pinnzoo.domains.regions import Parameter as Parameter
from pinnzoo.domains.regions import Part as Part
from pinnzoo.domains.regions import Product as Product
from pinnzoo.domains.regions import Region as Region
from pinnzoo.domains.regions import Shape as Shape
from pinnzoo.domains.sampling import SAMPLERS as SAMPLERS
from pinnzoo.domains.sampling import residual_adaptive as residual_adaptive
from pinnzoo.domains.sampling import sample as sample
