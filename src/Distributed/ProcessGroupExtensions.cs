using System.Text;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Distributed;

/// <summary>Collectives that are waited for, and those of bytes and texts.</summary>
public static class ProcessGroupExtensions
{
    extension(IProcessGroup group)
    {
        /// <summary>Replaces a tensor by the sum of all ranks' tensors.</summary>
        public void Sum(Tensor tensor) => group.BeginSum(tensor).Wait();

        /// <summary>Replaces a tensor by the root's.</summary>
        public void Broadcast(Tensor tensor, int root = 0) => group.BeginBroadcast(tensor, root).Wait();

        /// <summary>Collects all ranks' parts, in their order, in the root's whole.</summary>
        public void Gather(Tensor part, Tensor? whole, int root = 0) => group.BeginGather(part, whole, root).Wait();

        /// <summary>Collects all ranks' parts, in their order, in the whole of each.</summary>
        public void AllGather(Tensor part, Tensor whole) => group.BeginAllGather(part, whole).Wait();

        /// <summary>Sums the wholes of all ranks and leaves each rank its part.</summary>
        public void ReduceScatter(Tensor whole, Tensor part) => group.BeginReduceScatter(whole, part).Wait();

        /// <summary>The sum of a number over all ranks.</summary>
        public long Sum(long number)
        {
            using var value = tensor(number);
            group.Sum(value);
            return value.item<long>();
        }

        /// <summary>The sum of a number over all ranks.</summary>
        public double Sum(double number)
        {
            using var value = tensor(number);
            group.Sum(value);
            return value.item<double>();
        }

        /// <summary>The sums of numbers over all ranks.</summary>
        public long[] Sum(long[] numbers)
        {
            using var values = tensor(numbers);
            group.Sum(values);
            return values.Span<long>().ToArray();
        }

        /// <summary>The root's bytes; others may pass null.</summary>
        public byte[] Broadcast(byte[]? bytes, int root = 0)
        {
            if (group.Rank == root) ArgumentNullException.ThrowIfNull(bytes);
            using var length = tensor(group.Rank == root ? bytes!.LongLength : 0L);
            group.Broadcast(length, root);
            using var data = zeros(length.item<long>(), dtype: ScalarType.Byte);
            if (group.Rank == root) bytes.CopyTo(data.Span<byte>());
            group.Broadcast(data, root);
            return data.Span<byte>().ToArray();
        }

        /// <summary>The root's text; others may pass null.</summary>
        public string Broadcast(string? text, int root = 0) =>
            Encoding.UTF8.GetString(group.Broadcast(group.Rank == root ? Encoding.UTF8.GetBytes(text!) : null, root));

        /// <summary>The texts of all ranks, in their order, on each of them.</summary>
        public IReadOnlyList<string> AllGather(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            using var length = tensor(new long[] { bytes.Length });
            using var lengths = zeros(group.Size, dtype: ScalarType.Int64);
            group.AllGather(length, lengths);
            var counts = lengths.Span<long>().ToArray();
            var longest = (int)counts.Max();
            using var part = zeros(longest, dtype: ScalarType.Byte);
            using var whole = zeros(longest * (long)group.Size, dtype: ScalarType.Byte);
            bytes.CopyTo(part.Span<byte>());
            group.AllGather(part, whole);
            return [.. counts.Select((count, rank) => Encoding.UTF8.GetString(whole.Span<byte>().Slice(rank * longest, (int)count)))];
        }
    }
}
