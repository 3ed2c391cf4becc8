using Trainer.Data.Preparation;
using Trainer.Data.Tests.Tokenizers.HuggingFace;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class TokenizerOptionsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Data_is_prepared_with_the_file_and_again_when_the_file_changes()
    {
        File.Copy(TokenizerFixture.Path("gpt2"), folder["tokenizer.json"]);
        var tokenizer = new FileTokenizerOptions { Path = folder["tokenizer.json"] };
        var data = new DataOptions { Train = [new SourceOptions { Path = folder.Write("t.txt",
            string.Concat(Enumerable.Repeat("Hear me speak. ", 50))) }] };
        string Prepare()
        {
            using var prepared = DataPreparation.Prepare(data, tokenizer, folder["datasets"]);
            Assert.Equal("bpe", prepared.Tokenizer.Type);
            return prepared.Train.Fingerprint;
        }
        var first = Prepare();
        Assert.Equal(first, Prepare());
        File.Copy(TokenizerFixture.Path("llama3"), folder["tokenizer.json"], overwrite: true);
        File.SetLastWriteTimeUtc(folder["tokenizer.json"], DateTime.UtcNow.AddMinutes(1));
        Assert.NotEqual(first, Prepare());
    }
}
