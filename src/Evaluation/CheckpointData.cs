using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;

namespace Trainer.Evaluation;

/// <summary>The text a checkpoint is evaluated on, in the tokens of its own tokenizer.</summary>
public sealed class CheckpointData : IDisposable
{
    private readonly IDisposable owner;

    private CheckpointData(string name, TokenShard tokens, IDisposable owner) => (Name, Tokens, this.owner) = (name, tokens, owner);

    /// <summary>Its name in messages.</summary>
    public string Name { get; }

    /// <summary>The tokens.</summary>
    public TokenShard Tokens { get; }

    /// <summary>The validation data of the checkpoint's recipe, prepared as training prepares it.</summary>
    /// <exception cref="UserException">The texts are missing, or are not those the checkpoint was trained with.</exception>
    public static CheckpointData Validation(Checkpoint checkpoint, string datasetsDirectory, IProgress<string>? progress = null)
    {
        PreparedData data = DataPreparation.Prepare(checkpoint.Configuration.Data, checkpoint.Configuration.Tokenizer, datasetsDirectory,
            progress);
        if (JsonNode.DeepEquals(data.Tokenizer.ToJson(), checkpoint.Tokenizer.ToJson()))
            return new($"the validation data of {checkpoint.Configuration.Name}", data.Validation, data);
        data.Dispose();
        throw new UserException(
            $"{checkpoint.Directory}: the texts of its recipe have changed since it was trained, so that they give another tokenizer " +
            "than its own; name the text to measure on with --data");
    }

    /// <summary>A file, a folder or a glob, encoded with the checkpoint's tokenizer.</summary>
    /// <exception cref="UserException">A file is missing, empty, not UTF-8, or cannot be encoded.</exception>
    public static CheckpointData Text(Checkpoint checkpoint, string path, string datasetsDirectory, IProgress<string>? progress = null)
    {
        DataOptions own = checkpoint.Configuration.Data;
        if (own.UsesTemplate)
        {
            TokenShard conversations = TextEncoding.EncodeConversations(path, own, checkpoint.Tokenizer, progress);
            return new(path, conversations, conversations);
        }
        SourceOptions source = own.IsPaired ? Pairs(own.Train[0], path) : new() { Path = path };
        TokenShard tokens = TextEncoding.Encode(source, checkpoint.Tokenizer, datasetsDirectory, progress, own.IsPaired);
        return new(path, tokens, tokens);
    }

    // Pairs in the fields that it was trained on; sources that make their own have "source" and "target", or the other way round.
    private static SourceOptions Pairs(SourceOptions trained, string path)
    {
        bool made = trained.Format is SourceFormat.DotnetTranslations or SourceFormat.Synthetic;
        string? column = trained.Column ?? (made ? trained.TargetColumn == "source" ? "target" : "source" : null);
        return new()
        {
            Path = path,
            Column = column,
            TargetColumn = trained.TargetColumn ?? (made && column == "target" ? "source" : "target"),
        };
    }

    /// <inheritdoc/>
    public void Dispose() => owner.Dispose();
}
