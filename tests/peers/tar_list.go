// Lists archives as Go's archive/tar reads them: one JSON object a line for each archive that is named on a line of stdin.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
)

type member struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Size int64  `json:"size"`
	Hash string `json:"hash"`
	Link string `json:"link"`
}

type listing struct {
	Members []member `json:"members"`
	Error   string   `json:"error"`
}

var kinds = map[byte]string{
	tar.TypeReg: "file", tar.TypeLink: "hardlink", tar.TypeSymlink: "symlink", tar.TypeChar: "special", tar.TypeBlock: "special",
	tar.TypeDir: "directory", tar.TypeFifo: "special", tar.TypeCont: "file", tar.TypeGNUSparse: "file",
}

func read(path string) listing {
	list := listing{Members: []member{}}
	file, err := os.Open(path)
	if err != nil {
		return listing{Error: err.Error()}
	}
	defer file.Close()
	reader := tar.NewReader(file)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			list.Error = err.Error()
			return list
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		kind, known := kinds[header.Typeflag]
		if !known {
			kind = "file"
		}
		hash := sha256.New()
		size := int64(0)
		if kind == "file" {
			data, err := io.ReadAll(io.LimitReader(reader, 16<<20))
			if err != nil {
				list.Error = err.Error()
				return list
			}
			size = int64(len(data))
			// Zeros do not count: a hole and the zeros that it reads as are one.
			hash.Write(bytes.ReplaceAll(data, []byte{0}, nil))
		}
		text := func(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }
		list.Members = append(list.Members, member{text(header.Name), kind, size, hex.EncodeToString(hash.Sum(nil)), text(header.Linkname)})
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		if err := encoder.Encode(read(lines.Text())); err != nil {
			panic(err)
		}
	}
}
