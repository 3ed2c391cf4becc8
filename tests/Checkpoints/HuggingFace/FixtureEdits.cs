using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

/// <summary>Changes a copy of a fixture.</summary>
internal static class FixtureEdits
{
    /// <summary>Gives <c>config.json</c> a setting; null removes it.</summary>
    public static void Set(string directory, string key, JsonNode? value)
    {
        string path = Path.Combine(directory, "config.json");
        JsonObject json = (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
        if (value is null) json.Remove(key);
        else json[key] = value;
        File.WriteAllText(path, json.ToJsonString());
    }

    /// <summary>Writes the one file of weights again with other tensors.</summary>
    public static void Rewrite(string directory, Action<Dictionary<string, Tensor>> change)
    {
        using DisposeScope scope = NewDisposeScope();
        string path = Path.Combine(directory, WeightFiles.Single);
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(path)) tensors = file.Names.ToDictionary(name => name, name => file.Read(name));
        change(tensors);
        Safetensors.Write(path, tensors.Select(entry => (entry.Key, entry.Value)));
    }
}
