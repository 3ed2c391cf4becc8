namespace Trainer.Text.Tests;

/// <summary>A folder of its own for one test.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("trainer-text-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public string Write(string name, string text) => Write(name, System.Text.Encoding.UTF8.GetBytes(text));

    public string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(this[name], bytes);
        return this[name];
    }

    /// <summary>A shard of these tokens.</summary>
    public TokenShard Shard(IEnumerable<int> ids, int vocabularySize = 65_536, string name = "data.train")
    {
        var path = this[$"{Guid.NewGuid():N}.tokens"];
        using (var writer = new ShardWriter(path, vocabularySize))
        {
            writer.StartDocument();
            writer.Append(ids.ToArray());
            writer.Finish(new string('a', 64));
        }
        return TokenShard.Open(path, name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
