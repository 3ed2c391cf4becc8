using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Training.Experiments;

/// <summary>Compares tensors bit for bit: NaN equals the same NaN, and 0 is not −0.</summary>
internal static class TensorDifference
{
    /// <summary>How many numbers differ, by how much, and where first; null where all bits are equal. Takes over <paramref name="saved"/>.
    /// </summary>
    public static string? Find(Tensor saved, Tensor computed)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        using Tensor file = saved;
        Tensor now = computed.detach().cpu().contiguous();
        if (!saved.shape.SequenceEqual(now.shape) || saved.dtype != now.dtype)
            return $"it is {Describe(saved)} in the file, {Describe(now)} computed";
        if (saved.bytes.SequenceEqual(now.bytes)) return null;
        Tensor before = Bits(saved), after = Bits(now);
        Tensor places = before.ne(after).any(dim: 1).nonzero().view(-1);
        Tensor values = saved.view(-1).to(ScalarType.Float64).index_select(0, places);
        Tensor others = now.view(-1).to(ScalarType.Float64).index_select(0, places);
        double largest = values.sub(others).abs().max().item<double>();
        long first = places[0].item<long>();
        return string.Create(CultureInfo.InvariantCulture, $"{places.numel()} of {saved.numel()} numbers differ, by up to {largest:G3}; " +
            $"the first is number {first}: {values[0].item<double>():R} in the file, {others[0].item<double>():R} computed");
    }

    private static string Describe(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";

    /// <summary>A row of bytes for each number.</summary>
    private static Tensor Bits(Tensor numbers) =>
        tensor(numbers.bytes.ToArray()).view(numbers.numel(), numbers.element_size());
}
