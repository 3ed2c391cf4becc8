using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Weights in one file, or in several and an index where they are larger than one file may be; names and index are transformers'.</summary>
internal static class Shards
{
    // transformers refuses files that do not say whose layout they have.
    private static readonly Dictionary<string, string> Metadata = new() { ["format"] = "pt" };

    /// <summary>Writes the weights, one tensor at a time.</summary>
    /// <param name="directory">Where to.</param>
    /// <param name="weights">In the order of the files.</param>
    /// <param name="size">What a file may hold; a larger tensor has a file of its own.</param>
    public static void Write(string directory, IReadOnlyList<PendingTensor> weights, ShardSize size)
    {
        IReadOnlyList<IReadOnlyList<PendingTensor>> shards = Split(weights, size.Bytes);
        if (shards.Count == 1)
        {
            Safetensors.Write(Path.Combine(directory, WeightFiles.Single), weights, Metadata);
            return;
        }
        JsonObject map = [];
        foreach ((int index, IReadOnlyList<PendingTensor> shard) in shards.Index())
        {
            string name = $"model-{index + 1:00000}-of-{shards.Count:00000}.safetensors";
            Safetensors.Write(Path.Combine(directory, name), shard, Metadata);
            foreach (PendingTensor tensor in shard) map[tensor.Name] = name;
        }
        JsonObject total = new() { ["total_size"] = weights.Sum(tensor => tensor.Bytes) };
        JsonFiles.Save(directory, WeightFiles.Index, new() { ["metadata"] = total, ["weight_map"] = map });
    }

    private static List<List<PendingTensor>> Split(IReadOnlyList<PendingTensor> weights, long limit)
    {
        List<List<PendingTensor>> shards = [[]];
        long held = 0;
        foreach (PendingTensor tensor in weights)
        {
            if (held > 0 && held + tensor.Bytes > limit)
            {
                shards.Add([]);
                held = 0;
            }
            shards[^1].Add(tensor);
            held += tensor.Bytes;
        }
        return shards;
    }
}
