using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Resources;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The strings among the resources of an assembly, read from its file: nothing of it is loaded or run.</summary>
internal static class AssemblyStrings
{
    private const string Suffix = ".resources";

    /// <summary>Reads them.</summary>
    /// <param name="path">The assembly.</param>
    /// <param name="culture">The language of a satellite assembly, which its resources have in their names; empty for the neutral one.</param>
    /// <returns>The texts by the name of their resource, its culture left out, and their key.</returns>
    /// <exception cref="UserException">The file is damaged.</exception>
    public static Dictionary<(string Resource, string Key), string> Read(string path, string culture)
    {
        var strings = new Dictionary<(string, string), string>();
        try
        {
            using var image = new PEReader(File.OpenRead(path));
            if (!image.HasMetadata)
                return strings;
            var metadata = image.GetMetadataReader();
            var ending = culture.Length == 0 ? Suffix : $".{culture}{Suffix}";
            foreach (var resource in metadata.ManifestResources.Select(metadata.GetManifestResource))
                if (resource.Implementation.IsNil && metadata.GetString(resource.Name) is var name && name.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
                    Add(strings, name[..^ending.Length], Content(image, resource));
            return strings;
        }
        catch (Exception e) when (e is BadImageFormatException or ArgumentException or EndOfStreamException or IOException)
        {
            throw new UserException($"{path} is damaged: {e.Message.TrimEnd('.')}; repair or reinstall the .NET SDK", e);
        }
    }

    /// <summary>The bytes of an embedded resource: they stand after their length.</summary>
    private static byte[] Content(PEReader image, ManifestResource resource)
    {
        var start = image.PEHeaders.CorHeader!.ResourcesDirectory.RelativeVirtualAddress;
        var section = image.GetSectionData(start).GetReader();
        section.Offset = checked((int)resource.Offset);
        return section.ReadBytes(section.ReadInt32());
    }

    private static void Add(Dictionary<(string, string), string> strings, string name, byte[] content)
    {
        try
        {
            using var reader = new ResourceReader(new MemoryStream(content));
            for (var entries = reader.GetEnumerator(); entries.MoveNext();)
            {
                var key = (string)entries.Key;
                reader.GetResourceData(key, out var type, out var data);
                if (type == "ResourceTypeCode.String")
                    strings[(name, key)] = new BinaryReader(new MemoryStream(data)).ReadString();
            }
        }
        catch (NotSupportedException)
        {
            // Sets with objects, such as icons, need a reader of their own and hold no messages.
        }
    }
}
