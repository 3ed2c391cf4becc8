using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Operations in one pass over the data, with a backward pass of their own, for float32 on the CPU; anywhere else they
/// are libtorch's own operations in a row.</summary>
/// <remarks>They give what the operations in a row give, to rounding. They have no second derivative: a backward pass with
/// create_graph is an error.</remarks>
public static class FusedKernels
{
    private const long CachedLogits = 1 << 19, FewestRows = 128, RoundedRowsAtOnce = 1024;

    /// <summary>x·weightᵀ + bias as one step of the record, on any device and in any type.</summary>
    /// <param name="x">(…, K)</param>
    /// <param name="weight">(N, K)</param>
    /// <param name="bias">(N), or none</param>
    /// <returns>(…, N)</returns>
    public static torch.Tensor Linear(torch.Tensor x, torch.Tensor weight, torch.Tensor? bias = null) =>
        Native.Own(tn_fused_linear(x.handle, weight.handle, HandleOf(bias), out var result), result);

    /// <summary>x·weightᵀ + bias on the CPU, multiplied in bfloat16 and added up in float32; the gradients of x and weight likewise.</summary>
    /// <param name="x">(…, K), float32 or bfloat16; kept for the backward pass as bfloat16</param>
    /// <param name="weight">(N, K), float32: where the gradient goes; or, where there is none, the rounded one</param>
    /// <param name="rounded">The weight in bfloat16, (N, K): what is multiplied</param>
    /// <param name="bias">(N), float32, or none</param>
    /// <param name="rounds">Whether the result is rounded too, for those who read it in bfloat16; its gradient is then bfloat16</param>
    /// <returns>(…, N), float32, or bfloat16 where <paramref name="rounds"/></returns>
    /// <exception cref="TorchException">Types, shapes or devices are others.</exception>
    public static torch.Tensor RoundedLinear(torch.Tensor x, torch.Tensor weight, torch.Tensor rounded, torch.Tensor? bias = null, bool rounds = false) =>
        Native.Own(tn_fused_rounded_linear(x.handle, weight.handle, rounded.handle, HandleOf(bias), rounds ? 1 : 0, out var result), result);

    /// <summary>down(f(up(x))) on the CPU, multiplied in bfloat16 and added up in float32. Of the hidden layer only what f reads is kept,
    /// in bfloat16.</summary>
    /// <param name="x">(…, C), float32 or bfloat16, which its gradient is too; kept as bfloat16</param>
    /// <param name="up">The first layer, (W, C): W = F, or 2F = [gate | up] where f is gated</param>
    /// <param name="down">The second, (C, F)</param>
    /// <param name="function">f</param>
    /// <returns>(…, C), float32</returns>
    /// <exception cref="TorchException">Types, shapes or devices are others.</exception>
    public static torch.Tensor RoundedFeedForward(torch.Tensor x, RoundedWeight up, RoundedWeight down, RoundedFunction function) =>
        Native.Own(
            tn_fused_rounded_feed_forward(
                x.handle, up.Weight.handle, up.Rounded.handle, HandleOf(up.Bias), down.Weight.handle, down.Rounded.handle, HandleOf(down.Bias), (int)function,
                RoundedRowsAtOnce, out var result),
            result);

    /// <summary>The cross entropy of each row of logits, and of how many rows the target has the highest. No gradients.</summary>
    /// <param name="logits">(N, V), float32</param>
    /// <param name="targets">(N), int64: a token, or −100 for none</param>
    /// <returns>Losses (N), in nats, 0 where there is no target; hits, zero dimensions, int64</returns>
    /// <exception cref="TorchException">On the CPU: other types or dimensions, or a target that is no token.</exception>
    public static (torch.Tensor Losses, torch.Tensor Hits) TokenLosses(torch.Tensor logits, torch.Tensor targets) => logits.device_type == DeviceType.CPU
        ? Native.Own(tn_fused_token_losses(logits.handle, targets.handle, out var losses, out var hits), losses, hits)
        : (torch.nn.functional.cross_entropy(logits, targets, ignore_index: -100, reduction: torch.nn.Reduction.None), logits.argmax(-1).eq(targets).sum());

    /// <summary>x with some of its numbers 0 and the others divided by the probability of keeping them. Elsewhere than on the CPU the device's generator
    /// decides which, not the key.</summary>
    /// <param name="x">(B, T, W) or (B, H, T, W)</param>
    /// <param name="dropout">Which are dropped</param>
    /// <returns>As <paramref name="x"/></returns>
    /// <exception cref="TorchException">On the CPU: another type than float32, or other dimensions.</exception>
    public static unsafe torch.Tensor Dropout(torch.Tensor x, KeyedDropout dropout) => x.device_type == DeviceType.CPU
        ? Native.Own(tn_fused_dropout(x.handle, &dropout, out var result), result)
        : torch.nn.functional.dropout(x, dropout.Probability, training: true);

    /// <summary>The summed cross entropy of softmax(x·weightᵀ + bias), on the CPU. Of the logits only those of some rows are ever held; rows
    /// without a target cost nothing. Gradients are computed at once, where they are wanted.</summary>
    /// <remarks>After Liger's kernel (Hsu et al. 2024, arXiv 2410.10989).</remarks>
    /// <param name="x">(N, C), float32 or bfloat16</param>
    /// <param name="weight">(V, C), float32</param>
    /// <param name="bias">(V), float32, or none</param>
    /// <param name="targets">(N), int64: a token, or −100 for none</param>
    /// <param name="shape">What becomes of the logits</param>
    /// <param name="rounded">The weight in bfloat16, (V, C), where products are to be bfloat16, as in <see cref="RoundedLinear"/></param>
    /// <returns>Zero dimensions, float32, in nats</returns>
    /// <exception cref="TorchException">Types, shapes or devices are others, or a target is no token.</exception>
    public static torch.Tensor CrossEntropy(torch.Tensor x, torch.Tensor weight, torch.Tensor? bias, torch.Tensor targets, CrossEntropyShape shape, torch.Tensor? rounded = null) =>
        Native.Own(tn_fused_cross_entropy(x.handle, weight.handle, HandleOf(rounded), HandleOf(bias), targets.handle, shape.LogitScale, shape.LogitSoftCap ?? 0, shape.LabelSmoothing, RowsOfLogits(targets.numel(), weight.size(0)), out var result), result);

    /// <summary>Of how many rows <see cref="CrossEntropy"/> holds the logits at once.</summary>
    /// <param name="rows">Rows with a target</param>
    /// <param name="vocabularySize">Logits of a row, V</param>
    /// <remarks>As many as stay in a cache close by, but enough for the weight, which every part reads anew, to be worth reading: measured for
    /// 65 to 50304 tokens.</remarks>
    public static long RowsOfLogits(long rows, long vocabularySize) => Math.Min(rows, Math.Max(FewestRows, CachedLogits / Math.Max(1, vocabularySize)));

    /// <summary>Of how many rows <see cref="RoundedFeedForward"/> holds what is between its matrices at once.</summary>
    /// <param name="rows">All of them</param>
    public static long RowsOfHidden(long rows) => Math.Min(rows, RoundedRowsAtOnce);

    /// <summary>x·Φ(x), the exact GELU (Hendrycks and Gimpel 2016).</summary>
    /// <param name="x">Any shape</param>
    public static torch.Tensor Gelu(torch.Tensor x) => Native.Own(tn_fused_gelu(x.handle, out var result), result);

    /// <summary>SiLU(gate)·up (Shazeer 2020).</summary>
    /// <param name="gateUp">(…, 2F) = [gate | up]</param>
    /// <returns>(…, F)</returns>
    /// <exception cref="TorchException">The last dimension is odd.</exception>
    public static torch.Tensor SwiGlu(torch.Tensor gateUp) => Native.Own(tn_fused_swiglu(gateUp.handle, out var result), result);

    /// <summary>Rows in another order, each as often as it is wanted. Its backward pass fetches gradients instead of adding them up in place:
    /// the same bits every time, on any device.</summary>
    /// <param name="x">(N, …), any type and device</param>
    /// <param name="order">A permutation (N·K), int64: row i of the result is row order[i] / K of x</param>
    /// <param name="inverse">Its inverse (N·K), int64: inverse[order[i]] = i</param>
    /// <param name="copies">How often each row is wanted, K</param>
    /// <returns>(N·K, …)</returns>
    /// <exception cref="TorchException">The lengths do not agree.</exception>
    public static torch.Tensor Rows(torch.Tensor x, torch.Tensor order, torch.Tensor inverse, long copies = 1) =>
        Native.Own(tn_fused_rows(x.handle, order.handle, inverse.handle, copies, out var result), result);

    /// <summary>Layer norm over the last dimension (Ba et al. 2016).</summary>
    /// <param name="x">(…, C)</param>
    /// <param name="weight">(C)</param>
    /// <param name="bias">(C), or none</param>
    /// <param name="epsilon">Added to the variance</param>
    /// <param name="rounds">Whether the norm is bfloat16, for those who read it rounded; its gradient is then bfloat16</param>
    public static torch.Tensor LayerNorm(torch.Tensor x, torch.Tensor weight, torch.Tensor? bias, double epsilon, bool rounds = false) =>
        Native.Own(tn_fused_norm(x.handle, weight.handle, HandleOf(bias), epsilon, 1, rounds ? 1 : 0, out var result), result);

    /// <summary>Root-mean-square norm over the last dimension (Zhang and Sennrich 2019).</summary>
    /// <param name="x">(…, C)</param>
    /// <param name="weight">(C)</param>
    /// <param name="epsilon">Added to the mean square</param>
    /// <param name="rounds">Whether the norm is bfloat16, for those who read it rounded; its gradient is then bfloat16</param>
    public static torch.Tensor RmsNorm(torch.Tensor x, torch.Tensor weight, double epsilon, bool rounds = false) =>
        Native.Own(tn_fused_norm(x.handle, weight.handle, TensorHandle.Null, epsilon, 0, rounds ? 1 : 0, out var result), result);

    /// <summary>The residual sum x + branch, and its layer norm.</summary>
    /// <inheritdoc cref="LayerNorm"/>
    /// <param name="x">(…, C)</param>
    /// <param name="branch">(…, C)</param>
    /// <param name="weight">(C)</param>
    /// <param name="bias">(C), or none</param>
    /// <param name="epsilon">Added to the variance</param>
    /// <param name="rounds">Whether the norm is bfloat16, for those who read it rounded; its gradient is then bfloat16</param>
    public static (torch.Tensor Sum, torch.Tensor Norm) AddLayerNorm(torch.Tensor x, torch.Tensor branch, torch.Tensor weight, torch.Tensor? bias, double epsilon, bool rounds = false) =>
        Native.Own(tn_fused_residual_norm(x.handle, branch.handle, weight.handle, HandleOf(bias), epsilon, 1, rounds ? 1 : 0, out var sum, out var norm), sum, norm);

    /// <summary>The residual sum x + branch, and its root-mean-square norm.</summary>
    /// <param name="x">(…, C)</param>
    /// <param name="branch">(…, C)</param>
    /// <param name="weight">(C)</param>
    /// <param name="epsilon">Added to the mean square</param>
    /// <param name="rounds">Whether the norm is bfloat16, for those who read it rounded; its gradient is then bfloat16</param>
    public static (torch.Tensor Sum, torch.Tensor Norm) AddRmsNorm(torch.Tensor x, torch.Tensor branch, torch.Tensor weight, double epsilon, bool rounds = false) =>
        Native.Own(tn_fused_residual_norm(x.handle, branch.handle, weight.handle, TensorHandle.Null, epsilon, 0, rounds ? 1 : 0, out var sum, out var norm), sum, norm);

    private static TensorHandle HandleOf(torch.Tensor? tensor) => tensor?.handle ?? TensorHandle.Null;
}
