using Trainer.Data.Shards;

namespace Trainer.Data.Tests;

/// <summary>A temporary folder for one test.</summary>
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

    /// <summary>A shard with these tokens as one document.</summary>
    public TokenShard Shard(IEnumerable<int> ids, int vocabularySize = 65_536, string name = "data.train") =>
        Documents([[.. ids]], vocabularySize, name);

    /// <summary>A shard with these documents.</summary>
    public TokenShard Documents(IEnumerable<int[]> documents, int vocabularySize = 65_536, string name = "data.train")
    {
        var path = this[$"{Guid.NewGuid():N}.tokens"];
        using (var writer = new ShardWriter(path, vocabularySize))
        {
            foreach (var document in documents)
            {
                writer.StartDocument();
                writer.Append(document);
            }
            writer.Finish(new string('a', 64));
        }
        return TokenShard.Open(path, name);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
