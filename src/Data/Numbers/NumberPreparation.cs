using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Preparation;

namespace Trainer.Data.Numbers;

/// <summary>Reads the pictures or time series of a recipe into a folder, once.</summary>
public static class NumberPreparation
{
    /// <summary>Prepares the data in a subfolder of <paramref name="directory"/>, atomically, or opens it where no source file changed
    /// (size, time, then content) and nothing is damaged.</summary>
    /// <exception cref="UserException">A file is missing, damaged, or of another size or form than the others.</exception>
    public static NumberData Prepare(DataOptions data, InputShape shape, string directory, IProgress<string>? progress = null)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"the folder of prepared data {Path.GetFullPath(directory)} cannot be made: {e.Message}", e);
        }
        NumberPlan plan = shape switch
        {
            ImageShape images => new ImagePlan(data, images),
            SeriesShape series => new SeriesPlan(data, series),
            _ => throw new ArgumentOutOfRangeException(nameof(shape), shape, "unknown shape"),
        };
        var folder = Path.Combine(directory, $"{Plain(plan.Name)}-{Sha256(plan.Identity)[..12]}");
        return TryOpen(plan, folder, progress) ?? Make(plan, folder, progress);
    }

    private static NumberData? TryOpen(NumberPlan plan, string folder, IProgress<string>? progress)
    {
        if (NumberRecord.TryLoad(folder) is not { } record || record.Identity != plan.Identity)
            return null;
        if (!record.Sources.All(stamp => stamp.IsUntouched()))
        {
            var stamps = SourceStamp.OfAll(plan.Files);
            if (FingerprintOf(plan, stamps) != record.Fingerprint)
            {
                progress?.Report($"the files changed since {folder} was prepared; preparing again");
                return null;
            }
            record = record with { Sources = stamps };
            record.Save(folder);
        }
        try
        {
            return Open(plan, folder, record);
        }
        catch (Exception e) when (e is UserException or IOException)
        {
            progress?.Report($"{e.Message}; preparing again");
            return null;
        }
    }

    private static NumberData Make(NumberPlan plan, string folder, IProgress<string>? progress)
    {
        progress?.Report(plan.Files.Count == 0
            ? $"making {plan.Name}"
            : $"reading {plan.Files.Count:N0} {(plan.Files.Count == 1 ? "file" : "files")}");
        AtomicFile.WriteFolder(folder, temporary =>
        {
            var stamping = Task.Run(() => SourceStamp.OfAll(plan.Files));   // hashes in parallel with the reading
            var (preprocessor, train, validation) = plan.Write(TrainIn(temporary), ValidationIn(temporary));
            var stamps = stamping.GetAwaiter().GetResult();
            if (stamps.FirstOrDefault(stamp => !stamp.IsUntouched()) is { } changed)
                throw new UserException($"{changed.Path} changed while it was read; run the command again");
            new NumberRecord(plan.Identity, FingerprintOf(plan, stamps), stamps, preprocessor, train, validation).Save(temporary);
        });
        var data = Open(plan, folder, NumberRecord.TryLoad(folder)
            ?? throw new UserException($"{folder} was removed while it was prepared; prepare it again"));
        progress?.Report($"prepared {folder}: {plan.Describe(data)}");
        return data;
    }

    private static NumberData Open(NumberPlan plan, string folder, NumberRecord record)
    {
        foreach (var (file, split) in new[] { (TrainIn(folder), record.Train), (ValidationIn(folder), record.Validation) })
            if (!File.Exists(file) || SplitRecord.HashOf(file) != split.Hash)
                throw new UserException($"{file} is damaged");
        var train = plan.Open(File.OpenHandle(TrainIn(folder)), record.Preprocessor, record.Train);
        return new(folder, record, train, plan.Open(File.OpenHandle(ValidationIn(folder)), record.Preprocessor, record.Validation));
    }

    private static string FingerprintOf(NumberPlan plan, IEnumerable<SourceStamp> stamps) =>
        Sha256(string.Join('\n', stamps.Select(stamp => stamp.Sha256).Prepend(plan.Content)));

    private static string TrainIn(string folder) => Path.Combine(folder, "train.numbers");

    private static string ValidationIn(string folder) => Path.Combine(folder, "validation.numbers");

    private static string Plain(string name) =>
        new([.. name.Take(40).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-')]);

    private static string Sha256(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

/// <summary>What to prepare. <c>Content</c> and the files' contents determine the numbers; <c>Identity</c> also names the files.</summary>
internal abstract class NumberPlan
{
    /// <summary>Incremented when the same configuration and files would give other numbers.</summary>
    protected const int Version = 1;

    public abstract string Name { get; }

    public abstract IReadOnlyList<string> Files { get; }

    public abstract string Content { get; }

    public string Identity => JsonSerializer.Serialize(new { content = Content, files = Files });

    public abstract (Preprocessor, SplitRecord Train, SplitRecord Validation) Write(string train, string validation);

    public abstract NumberSplit Open(Microsoft.Win32.SafeHandles.SafeFileHandle file, Preprocessor preprocessor, SplitRecord split);

    public abstract string Describe(NumberData data);
}
