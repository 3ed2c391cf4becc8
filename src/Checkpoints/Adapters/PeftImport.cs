using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models.Adapters;

namespace Trainer.Checkpoints.Adapters;

/// <summary>Makes a checkpoint with an adapter out of PEFT's files and a base that is a checkpoint here.</summary>
public static class PeftImport
{
    /// <summary>Whether a directory holds what PEFT writes.</summary>
    public static bool IsAdapter(string directory) => File.Exists(Path.Combine(directory, PeftModules.Configuration));

    /// <summary>Imports to a new or empty directory, and returns the number of matrices that are adapted.</summary>
    /// <exception cref="UserException">The files cannot be read or expressed here, do not fit the base, or writing fails.</exception>
    public static int Run(string source, string basePath, string output)
    {
        Checkpoint original = Checkpoint.Open(basePath);
        using PeftAdapter adapter = PeftAdapter.Open(source, original);
        JsonObject recipe = CheckpointConfiguration.ReadJson(Path.Combine(original.Directory, CheckpointFiles.Configuration));
        recipe["adapter"] = ConfigurationJson.ToNode<AdapterOptions>(adapter.Options);
        recipe["initialize"] = new JsonObject { ["from"] = original.Directory };
        if (recipe["optimizer"]?["type"]?.GetValue<string>() == "muon") recipe.Remove("optimizer"); // which trains no adapters
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, adapter.Tensors)),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, original.Tokenizer.Save),
            AdapterBase.Of(original).ToFile(),
            .. CheckpointFiles.Companions(original.Directory),
        ]);
        return adapter.Matrices;
    }
}
