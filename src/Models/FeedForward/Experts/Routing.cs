// Shapes: N tokens, E experts, K active experts.
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>What a router decided about some tokens.</summary>
/// <param name="Logits">(N, E), float32.</param>
/// <param name="Affinities">(N, E), float32: softmax or sigmoid of the logits.</param>
/// <param name="Chosen">(N, K), int64: each token's experts.</param>
/// <param name="Weights">(N, K), float32: how much of each joins the result.</param>
internal readonly record struct Routing(Tensor Logits, Tensor Affinities, Tensor Chosen, Tensor Weights);
