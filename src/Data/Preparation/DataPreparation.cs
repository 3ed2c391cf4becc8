using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Turns the texts of a recipe into token shards, once.</summary>
public static class DataPreparation
{
    /// <summary>Prepares the data, or opens what was prepared before from the same files.</summary>
    /// <remarks>The folder is written beside its place and renamed, so that it is whole or absent. It is made again when a
    /// source file changed (size, time, then content) or when it is damaged.</remarks>
    /// <param name="data">What to read.</param>
    /// <param name="tokenizer">How to turn it into tokens.</param>
    /// <param name="directory">The folder of prepared data, such as <c>datasets</c>; a folder of its own is made in it.</param>
    /// <param name="progress">Told in plain lines what is done, when anything is.</param>
    /// <returns>The opened data; dispose of it after use.</returns>
    /// <exception cref="UserException">A file is missing, empty, not UTF-8, cannot be encoded, or changes while it is read.</exception>
    public static PreparedData Prepare(DataOptions data, TokenizerOptions tokenizer, string directory, IProgress<string>? progress = null)
    {
        CreateDirectory(directory);
        var plan = PreparationPlan.Open(data, tokenizer, directory, progress);
        var folder = Path.Combine(directory, plan.FolderName);
        return TryOpen(plan, folder, progress) ?? Make(plan, folder, progress);
    }

    private static PreparedData? TryOpen(PreparationPlan plan, string folder, IProgress<string>? progress)
    {
        if (PreparedFolder.TryReadRecord(folder) is not { } record || record.Identity != plan.Identity)
            return null;
        if (!record.Sources.All(stamp => stamp.IsUntouched()))
        {
            var stamps = SourceStamp.OfAll(plan.Files);
            if (plan.Fingerprint(stamps, record.TokenizerHash) != record.Fingerprint)
            {
                progress?.Report($"the texts changed since {folder} was prepared; preparing again");
                return null;
            }
            record = record with { Sources = stamps };
            PreparedFolder.WriteRecord(folder, record);
        }
        try
        {
            return PreparedFolder.Open(folder, record);
        }
        catch (UserException e)
        {
            progress?.Report($"{e.Message}; preparing again");
            return null;
        }
    }

    private static void CreateDirectory(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"the folder of prepared data {Path.GetFullPath(directory)} cannot be made: {e.Message}", e);
        }
    }

    private static PreparedData Make(PreparationPlan plan, string folder, IProgress<string>? progress)
    {
        var preparer = new Preparer(plan, progress);
        WholeFile.WriteFolder(folder, preparer.Write);
        var prepared = PreparedFolder.Open(folder, PreparedFolder.TryReadRecord(folder)
            ?? throw new UserException($"{folder} was removed while it was prepared; prepare it again"));
        progress?.Report($"prepared {folder}: "
            + $"{prepared.Train.Length:N0} training and {prepared.Validation.Length:N0} validation tokens of {prepared.Tokenizer.VocabularySize} kinds, "
            + $"{prepared.TrainStatistics.BytesPerToken:0.00} bytes a token");
        return prepared;
    }
}
