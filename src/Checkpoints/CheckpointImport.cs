using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>Makes a checkpoint of this program out of a Hugging Face one.</summary>
public static class CheckpointImport
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true };

    /// <summary>Reads a Hugging Face directory and writes a checkpoint, one tensor at a time.</summary>
    /// <param name="source">Its <c>config.json</c>, safetensors and <c>tokenizer.json</c>.</param>
    /// <param name="output">The checkpoint directory to write; nothing may be there yet.</param>
    /// <param name="tell">Told what is not taken over.</param>
    /// <returns>What was read.</returns>
    /// <exception cref="UserException">It cannot be read or expressed, or the checkpoint cannot be written; the message says why.</exception>
    public static ImportReport Run(string source, string output, Action<string> tell)
    {
        if (!Directory.Exists(source)) throw new UserException($"{source}: there is no such directory; give the directory of a Hugging Face checkpoint");
        using HuggingFaceModel model = HuggingFaceModel.Open(source, tell);
        JsonObject recipe = RecipeOf(model, source, output);
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, model.Weights)),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, model.Tokenizer.Save),
            .. model.Companions.Select(file => new CheckpointPart(file.Key, path => Save(path, file.Value))),
        ]);
        return new(model.Family, model.Weights.Sum(tensor => tensor.Shape.Aggregate(1L, (product, extent) => product * extent)));
    }

    /// <summary>A recipe that trains the imported model further, on text that every installation has; what a user replaces first.</summary>
    private static JsonObject RecipeOf(HuggingFaceModel model, string source, string output) => new()
    {
        ["name"] = NameOf(source),
        ["model"] = ConfigurationJson.ToNode(model.Options),
        ["tokenizer"] = ConfigurationJson.ToNode<TokenizerOptions>(new FileTokenizerOptions { Path = Path.Combine(output, CheckpointFiles.Tokenizer) }),
        ["data"] = ConfigurationJson.ToNode(DataOf(model.Options)),
        ["training"] = new JsonObject { ["steps"] = 1000, ["batchSize"] = 8 },
        ["optimizer"] = new JsonObject { ["type"] = "adamw", ["learningRate"] = 2e-5 },
        ["initialize"] = new JsonObject { ["from"] = output },
    };

    private static DataOptions DataOf(ModelOptions model) => model switch
    {
        EncoderDecoderOptions => new()
        {
            Train = [new SourceOptions { Format = SourceFormat.DotnetTranslations, Language = "de", Column = "source", TargetColumn = "target" }],
            Objective = DataObjective.SequenceToSequence,
        },
        EncoderOptions => new() { Train = [new SourceOptions { Format = SourceFormat.DotnetDocs }], Objective = DataObjective.Masked },
        _ => new() { Train = [new SourceOptions { Format = SourceFormat.DotnetDocs }] },
    };

    private static string NameOf(string source)
    {
        string name = string.Concat(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(source))).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-'));
        return RunName.Complaint(name) is null ? name : "imported";
    }

    private static void Save(string path, JsonObject json) => File.WriteAllText(path, json.ToJsonString(Readable).ReplaceLineEndings("\n") + "\n");
}

/// <summary>What was imported.</summary>
/// <param name="Family">The family, such as <c>llama</c>.</param>
/// <param name="Parameters">Learned numbers.</param>
public sealed record ImportReport(string Family, long Parameters);
