"""The torch/Brevitas sibling of each op; their forward pass is the integers of the Program."""
