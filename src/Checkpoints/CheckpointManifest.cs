using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>The files of a complete checkpoint with their sizes in bytes and lower-case SHA-256: <c>manifest.json</c>.</summary>
internal sealed record CheckpointManifest(IReadOnlyDictionary<string, CheckpointManifest.Entry> Files)
{
    public sealed record Entry(long Size, string Sha256);

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    internal static CheckpointManifest Write(string directory)
    {
        string[] names = [.. Directory.EnumerateFiles(directory).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        Entry[] entries = Hash(directory, names);
        var manifest = new CheckpointManifest(names.Zip(entries).ToDictionary(pair => pair.First, pair => pair.Second));
        File.WriteAllText(Path.Combine(directory, CheckpointFiles.Manifest), JsonSerializer.Serialize(manifest, Format) + "\n");
        return manifest;
    }

    /// <summary>Checks all files against the manifest, which must list those <paramref name="required"/>.</summary>
    public static CheckpointManifest Verify(string directory, params ReadOnlySpan<string> required)
    {
        CheckpointManifest manifest = Read(directory);
        foreach (string name in required)
            if (!manifest.Files.ContainsKey(name)
                && !(name == CheckpointFiles.Tokenizer && manifest.Files.ContainsKey(CheckpointFiles.Preprocessor)))
                throw name == CheckpointFiles.Optimizer && !manifest.Files.ContainsKey(CheckpointFiles.State)
                    ? WithoutTrainingState(directory)
                    : Damaged(Path.Combine(directory, CheckpointFiles.Manifest), $"it does not list {name}");

        foreach ((string name, Entry expected) in manifest.Files) CheckSize(Path.Combine(directory, name), expected.Size);

        string[] names = [.. manifest.Files.Keys];
        Entry[] found = Hash(directory, names);
        for (int i = 0; i < names.Length; i++) CheckHash(Path.Combine(directory, names[i]), manifest.Files[names[i]], found[i]);
        return manifest;
    }

    private static CheckpointManifest Read(string directory)
    {
        string path = Path.Combine(directory, CheckpointFiles.Manifest);
        if (!File.Exists(path)) throw Damaged(path, "it is missing");
        try
        {
            CheckpointManifest? manifest = JsonSerializer.Deserialize<CheckpointManifest>(File.ReadAllText(path), Format);
            return manifest is { Files.Count: > 0 }
                && manifest.Files.All(file => Path.GetFileName(file.Key) == file.Key && file.Value?.Sha256 is not null)
                ? manifest
                : throw Damaged(path, "it lists no files");
        }
        catch (JsonException error)
        {
            throw Damaged(path, $"it is not the JSON that was written ({error.Message})");
        }
    }

    private static void CheckSize(string path, long expected)
    {
        FileInfo file = FileTarget.Of(path);
        if (!file.Exists) throw Damaged(path, $"it is missing; the manifest lists it with {expected} bytes");
        if (file.Length != expected) throw Damaged(path, $"it has {file.Length} bytes; the manifest lists {expected}");
    }

    private static void CheckHash(string path, Entry expected, Entry found)
    {
        if (found.Sha256 != expected.Sha256)
            throw Damaged(path, $"its SHA-256 is {found.Sha256}; the manifest lists {expected.Sha256}");
    }

    private static Entry[] Hash(string directory, string[] names)
    {
        var entries = new Entry[names.Length];
        try
        {
            Parallel.For(0, names.Length, i => entries[i] = Hash(Path.Combine(directory, names[i])));
        }
        catch (AggregateException error)
        {
            ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);
        }
        return entries;
    }

    private static Entry Hash(string path)
    {
        try
        {
            using FileStream stream = new(
                path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16, FileOptions.SequentialScan);
            return new Entry(stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: it cannot be read: {error.Message}", error);
        }
    }

    private static UserException WithoutTrainingState(string directory) =>
        new($"{directory}: a converted or imported checkpoint has no optimizer state, so no run goes on from it; "
            + "begin one with its weights (initialize.from).");

    private static UserException Damaged(string path, string what) =>
        new($"{path}: {what}. This checkpoint is damaged: use an earlier one of the run.");
}
