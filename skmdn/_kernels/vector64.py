import math
from skmdn._kernels.jit import helper
@helper
def exp64(x):
    return math.exp(x)
@helper
def log64(x):
    return math.log(x)
