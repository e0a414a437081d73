"""What families share that code latents with hyper-latents: hdc and sprdiff.

`family` holds their weights, `symbols` is the integer half; `networks` and `picture_coder` are the
float half, whatever computes it; all others are its modules in torch, and the search through them.
"""
