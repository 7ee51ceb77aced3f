"""JIT-compiled trees and linear models that give the model's exact bits."""
